"""How a command ends: with one message where a person can mend what is wrong, quietly where its reader stopped."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import NoReturn, TextIO

from ews.core.errors import EwsError
from ews.core.faults import cannot_write, sentence

UNREAD = 128 + signal.SIGPIPE
"""Exit status where the reader of the output has gone (``| head``): that of a program which its signal ends."""


def finished(main: Callable[[], None]) -> None:
    """Run a command's ``main``.

    An :class:`EwsError` or a fault of the machine (:func:`ews.core.faults.sentence`) ends the process with one message
    and status 1; a bug keeps its traceback. Where the reader of its output has seen enough (``| head``) the command
    ends without a word, with the status of a Unix tool.
    """
    _open_streams()
    try:
        try:
            main()
        except SystemExit:
            sys.stdout.flush()  # of --help
            raise
        # Here, not at the interpreter's end, where nobody could catch what goes wrong.
        sys.stdout.flush()
    except EwsError as error:
        _end(str(error))
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except (OSError, MemoryError, RuntimeError, BrokenExecutor) as error:
        _check_streams()
        text = sentence(error)
        if text is None:
            raise
        _end(text)


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


def _check_streams() -> None:
    """End the process if it is the output that cannot be written: what is not written yet stays in the buffer."""
    for stream, name in ((sys.stdout, "standard output"), (sys.stderr, "standard error")):
        problem = _settled(stream)
        if problem is not None:
            if problem.errno == errno.EPIPE:
                raise SystemExit(UNREAD) from None
            _end(str(cannot_write(name, problem)))


def _end(text: str) -> NoReturn:
    """End with a message and status 1; where that cannot be written either, with the status alone."""
    try:
        print(f"error: {text}", file=sys.stderr, flush=True)
    except OSError:
        pass
    for stream in (sys.stdout, sys.stderr):
        _settled(stream)
    raise SystemExit(1) from None


def _settled(stream: TextIO) -> OSError | None:
    """Write out what a stream holds; where that fails, return why and let it write into nothing from now on."""
    try:
        stream.flush()
    except OSError as problem:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except io.UnsupportedOperation:  # no file of the system behind it
            pass
        return problem
    return None
