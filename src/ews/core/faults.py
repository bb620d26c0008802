"""Faults of the machine - a full disk, a limit, no memory, a killed worker - in one sentence each, with what to do."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

from ews.core.errors import EwsError

TEMPORARY = ".ews-tmp-"
"""Begins the name of a folder of files that are being written; :mod:`ews.core.staging`. Git and DVC ignore it."""

MEMORY = "Memory is used up: end other programs, use fewer workers or smaller batches, or a larger machine."
PATH = "Check the path."
OTHERWISE = "Check the disk, the permissions and the limits (`ulimit -a`), then run again."
CURES = {
    errno.ENOSPC: "The disk is full. Make room, or write elsewhere, then run again.",
    errno.EDQUOT: "Your quota there is used up. Remove files, or write elsewhere, then run again.",
    errno.EFBIG: "No file may be that large here. Lift the limit (`ulimit -f unlimited`), or write elsewhere.",
    errno.EROFS: "That place can only be read. Write elsewhere, or mount it writable, then run again.",
    errno.EACCES: "You lack the permission. Change it (`ls -ld`, `chmod`), or name another place.",
    errno.EPERM: "You lack the permission. Change it (`ls -ld`, `chmod`), or name another place.",
    errno.EMFILE: "Too many files are open. Raise the limit (`ulimit -n`), or use fewer workers.",
    errno.ENFILE: "Too many files are open on this machine. End other programs, or use fewer workers.",
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: "No more processes may be started. Raise the limit (`ulimit -u`), or use fewer workers.",
    errno.EIO: "The disk fails, or the connection to it. Check it, then run again.",
    errno.ESTALE: "The connection to the disk was lost. Check it, then run again.",
    errno.ENOENT: PATH,
    errno.ENOTDIR: PATH,
    errno.EISDIR: PATH,
    errno.EEXIST: PATH,
    errno.ELOOP: PATH,
    errno.ENAMETOOLONG: "The name is too long for that file system. Name a shorter one.",
    errno.EBADF: "It is closed. Open it, or send it to /dev/null.",
}
WORKERS = (
    "It was killed, perhaps for memory, or hangs. Run again, with fewer --workers if it happens again; what was done "
    "is kept."
)
WORKER = re.compile(
    r"DataLoader (worker|timed out)|shared memory|unable to (open|write to) file </torch_", re.IGNORECASE
)
ALLOCATION = re.compile(r"can't allocate memory|not enough memory|CUDA out of memory|CUDA error: out of memory")
THREADS = re.compile(r"can't start new thread")


def cannot_write(path: Path | str, problem: OSError, *, size: int | None = None) -> EwsError:
    """Build the error for a file or folder that cannot be written.

    Args:
        path: by the name that it will have; a temporary one is put back to that.
        problem: what the system said.
        size: the file's bytes, where they are known.
    """
    takes = "" if size is None else f" The file takes {size:,} bytes."
    return EwsError(f"{_lasting(Path(path))}: cannot be written: {_reason(problem)}.{takes} {_cure(problem)}")


@contextlib.contextmanager
def reported(path: Path | str, *, size: int | None = None) -> Iterator[None]:
    """Say which file cannot be written where the block fails for want of room, permission or the like.

    Args:
        path: the file or folder that is being made.
        size: its bytes, where they are known.

    Raises:
        EwsError: instead of an :class:`OSError`, unless that names another file, which the block reads.
    """
    path = Path(path)
    try:
        yield
    except OSError as problem:
        named = problem.filename
        if isinstance(named, str | os.PathLike) and TEMPORARY not in str(named):
            if Path(named) not in (path, *path.parents):
                raise
        raise cannot_write(path, problem, size=size) from None


def sentence(problem: BaseException) -> str | None:
    """Return what to tell a person of a fault of the machine; None for anything else, which is a bug to be shown."""
    text = str(problem)
    if isinstance(problem, MemoryError) or (isinstance(problem, RuntimeError) and ALLOCATION.search(text)):
        return f"out of memory ({_first(text) or 'no more than that is known'}). {MEMORY}"
    if isinstance(problem, OSError):
        if problem.errno is None:
            return None
        place = "" if problem.filename is None else f"{_lasting(Path(os.fsdecode(problem.filename)))}: "
        return f"{place}{_reason(problem)}. {_cure(problem)}"
    if isinstance(problem, BrokenExecutor) or (isinstance(problem, RuntimeError) and WORKER.search(text)):
        return f"a worker process ended before its work ({_first(text)}). {WORKERS}"
    if isinstance(problem, RuntimeError) and THREADS.search(text):
        return f"{_first(text)}. {CURES[errno.EAGAIN]}"
    return None


def _lasting(path: Path) -> Path:
    """Return a path without the temporary folders in it."""
    return Path(*(part for part in path.parts if not part.startswith(TEMPORARY)))


def _reason(problem: OSError) -> str:
    return (problem.strerror or str(problem) or type(problem).__name__).rstrip(".")


def _cure(problem: OSError) -> str:
    return CURES.get(problem.errno or 0, OTHERWISE)


def _first(text: str) -> str:
    """Return the first line of a message that may be long."""
    return text.strip().partition("\n")[0].rstrip(".")[:200]
