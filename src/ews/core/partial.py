"""Partial work: a hidden folder beside an output, held by one process, that a later start resumes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ews.core.files import exclusive

LOCK = ".lock"


@contextlib.contextmanager
def partial(out: Path | str) -> Iterator[Path]:
    """Hold ``.<name>.partial``, the folder beside the output ``out`` for what is done so far.

    When the block ends without error the work is whole, and the folder goes. When it fails, or the process is killed,
    the folder stays with what the block put there (flat, files only); an empty one does not stay after an error.

    Raises:
        EwsError: another process makes the same output.
    """
    out = Path(out)
    folder = out.with_name(f".{out.name}.partial")
    with exclusive(folder):
        try:
            yield folder
        except BaseException:
            if not files(folder):
                remove(folder)
            raise
        remove(folder)


def files(folder: Path) -> list[Path]:
    """Return the files of partial work in the folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.name != LOCK)


def discard(folder: Path) -> None:
    """Remove partial work that nobody can resume; the folder stays held."""
    for path in files(folder):
        path.unlink()


def remove(folder: Path) -> None:
    """Remove the folder, its lock last; what a process that waits for the lock has put there meanwhile stays."""
    discard(folder)
    (folder / LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
