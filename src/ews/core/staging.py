"""Where files lie until they are whole: a hidden folder beside their place, locked by its writer, then swept.

Its name is ``.ews-tmp-<host>-<boot>-<random>``. The lock ends with the writer, SIGKILL included, and who writes into
the same folder next removes what a dead one left. Of another machine's, whose lock may not be seen from here, only what
has not changed for a week.
"""

import contextlib
import errno
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from ews.core.faults import TEMPORARY

NAME = re.compile(re.escape(TEMPORARY) + r"(?P<host>\w+)-(?P<boot>\w+)-\w+")
LOCK = ".lock"
ABANDONED = 7 * 24 * 3600.0
"""Seconds after which a temporary folder of another machine counts as its writer's last [choice]."""


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden folder in ``folder``, made where it is not there; both stay on one file system.

    It goes with all that is still in it when the block ends.

    Raises:
        OSError: it cannot be made.
    """
    make_folder(folder)
    sweep(folder)
    room, lock = _begin(folder)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        lock.release()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        OSError: it cannot be made; where something else has its name, that it is no folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def sweep(folder: Path) -> None:
    """Remove the temporary folders in ``folder`` whose writers are gone; those in use stay, of any machine."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for room in [Path(entry.path) for entry in entries if NAME.fullmatch(entry.name)]:
            # Gone meanwhile, in use, another user's, or on a file system without locks: not ours to remove.
            with contextlib.suppress(OSError, Timeout, NotImplementedError):
                if _is_local(room) or time.time() - room.stat().st_mtime > ABANDONED:
                    with FileLock(room / LOCK, timeout=0):
                        shutil.rmtree(room, ignore_errors=True)


def commit(moves: Sequence[tuple[Path, Path]]) -> None:
    """Give files their names, all or none: the bytes reach the disk before any name changes.

    Of several files the old ones leave first, the last one before the others, and the new ones come in order, so that a
    kill in between leaves files out and never mixes old and new, and what vouches for the others comes last.

    Args:
        moves: pairs of a file in a folder of :func:`staging` and its place on the same file system.

    Raises:
        OSError: a place cannot be taken; the old files are back.
    """
    for new, _ in moves:
        with new.open("rb") as file:
            os.fsync(file.fileno())
    if len(moves) == 1:
        new, place = moves[0]
        new.replace(place)
        return
    olds = [(new.with_name(f"{new.name}.old"), place) for new, place in moves]
    try:
        for old, place in reversed(olds):
            if place.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
            with contextlib.suppress(FileNotFoundError):
                place.rename(old)
        for new, place in moves:
            new.rename(place)
    except BaseException:
        for (new, place), (old, _) in zip(moves, olds, strict=True):
            if not new.exists():
                place.unlink(missing_ok=True)
            if old.exists():
                old.replace(place)
        raise


def _begin(folder: Path) -> tuple[Path, FileLock]:
    while True:
        room = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{'-'.join(_here())}-", dir=folder))
        lock = FileLock(room / LOCK)
        # Between the two lines above another process may have taken it for abandoned: then the next one.
        with contextlib.suppress(Timeout, FileNotFoundError):
            lock.acquire(timeout=0)
            if (room / LOCK).exists():
                return room, lock
            lock.release()


@cache
def _here() -> tuple[str, str]:
    """Return this machine's name, and the identity of its running kernel, which containers on it share."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:12]
    except OSError:
        boot = ""
    return re.sub(r"\W", "_", platform.node())[:32] or "_", boot.strip() or "_"


def _is_local(room: Path) -> bool:
    found = NAME.fullmatch(room.name)
    host, boot = _here()
    return found is not None and (found["host"] == host or (found["boot"] == boot and boot != "_"))
