"""How a command ends: with one message where a person can mend what is wrong, quietly where its reader stopped."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from ews.core.errors import EwsError
from ews.core.redaction import redacted

ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Signals that ask a process to end: from the keyboard, a closed terminal, a batch system before its time limit."""


class Stopped(BaseException):
    """A signal asked this process to end."""

    def __init__(self, name: str) -> None:
        """Take the signal's name."""
        super().__init__(name)
        self.name = name
        self.status = 128 + signal.Signals[name].value
        """As a shell has it."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let each signal of :data:`ENDS` end the block as :class:`Stopped`, so that what is half-written is tidied up.

    Only the first counts: the tidying is not broken off by an impatient second one, and what fails meanwhile - a worker
    that got the same signal, say - is no mistake to report. A signal that is ignored, as ``nohup`` has it, stays so.
    The handlers before come back when the block ends.
    """
    owner, before = os.getpid(), {}
    caught: list[Stopped] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked worker: the process that it works for ends it, or dies and it with it.
            if number == signal.SIGTERM:
                os._exit(128 + number)
        elif not caught:
            caught.append(Stopped(signal.Signals(number).name))
            raise caught[0]

    for name in ENDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield
    except Exception:
        if caught:
            raise caught[0] from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def finished(main: Callable[[], None]) -> None:
    """Run a command's ``main``.

    An :class:`EwsError` or an unusable file ends the process with one message and status 1, a signal that asks it to
    end with status 128 and the signal's number. A reader of its output that has seen enough (``| head``) is no error.
    """
    try:
        with stoppable():
            main()
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except EwsError as error:
        print(redacted(f"error: {error}"), file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(redacted(f"error: {error.filename}: {error.strerror}"), file=sys.stderr)
        raise SystemExit(1) from None
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"stopped by {stopped.name}. What is finished is kept; the same command resumes.", file=sys.stderr)
        raise SystemExit(stopped.status) from None
