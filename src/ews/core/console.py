"""How a command ends: with one message where a person can mend what is wrong, quietly where its reader stopped."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from ews.core.errors import EwsError
from ews.core.faults import cannot_write, sentence
from ews.core.redaction import redacted

UNREAD = 128 + signal.SIGPIPE
"""Exit status where the reader of the output has gone (``| head``): that of a program which its signal ends."""


OUTPUTS = ("standard output", "standard error")

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

    An :class:`EwsError` or a fault of the machine (:func:`ews.core.faults.sentence`) ends the process with one message
    and status 1, a signal that asks it to end with status 128 and the signal's number; a bug keeps its traceback. Where
    the reader of its output has seen enough (``| head``) the command ends without a word, with a Unix tool's status.
    """
    _open_streams()
    try:
        with _named_streams(), stoppable():
            try:
                main()
            except SystemExit:
                sys.stdout.flush()  # of --help
                raise
            # Here, not at the interpreter's end, where nobody could catch what goes wrong.
            sys.stdout.flush()
    except EwsError as error:
        _end(str(error))
    except Stopped as stopped:
        _end(f"stopped by {stopped.name}. What is finished is kept; the same command resumes.", status=stopped.status)
    except (OSError, MemoryError, RuntimeError, BrokenExecutor) as error:
        if isinstance(error, OSError) and error.filename in OUTPUTS:
            if error.errno == errno.EPIPE:
                _end(None, status=UNREAD)
            _end(str(cannot_write(error.filename, error)))
        text = sentence(error)
        if text is None:
            raise
        _end(text)


class _Named:
    """A standard stream whose errors say which one it is: the system's have no name."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as problem:
            problem.filename = self._name
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as problem:
            problem.filename = self._name
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _named_streams() -> Iterator[None]:
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Named(stream, name)) for stream, name in zip(streams, OUTPUTS, strict=True))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _open_streams() -> None:
    """Put something in the place of standard streams that are closed: else a data file would get their numbers.

    Standard output can then be opened but not written, so that a command with something to say fails as it should.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


def _end(text: str | None, *, status: int = 1) -> NoReturn:
    """End with a message, where there is one and it can be written, and a status."""
    try:
        if text is not None:
            print(redacted(text if status != 1 else f"error: {text}"), file=sys.stderr, flush=True)
    except OSError:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python would try once more at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(status) from None
