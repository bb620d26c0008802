"""Reading and writing files so that nothing half-written or damaged is ever taken for a whole."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ews.core.errors import EwsError
from ews.core.faults import reported
from ews.core.staging import commit, make_folder, staging


@contextlib.contextmanager
def atomic(path: Path | str, *, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path, of the same name, that replaces ``path`` when the block ends without error.

    The bytes reach the disk before the name changes, so that a crash leaves the old file or the new one, never a part.
    What a killed writer left in the same folder is removed: :mod:`ews.core.staging`.

    Args:
        path: the file.
        size: its bytes, for the message where there is no room for them.

    Raises:
        EwsError: it cannot be written; the message says why, and what to do.
    """
    path = Path(path)
    with reported(path, size=size), staging(path.parent) as room:
        temporary = room / path.name
        temporary.touch()
        yield temporary
        commit([(temporary, path)])


@contextlib.contextmanager
def staged(folder: Path | str, *, last: str) -> Iterator[Path]:
    """Yield an empty folder whose files all replace those of ``folder`` when the block ends without error, or none do.

    Args:
        folder: where the files belong.
        last: the file that vouches for the others: its old one leaves first, its new one comes last.

    Raises:
        EwsError: they cannot be written, or not be placed; the old files are as they were.
    """
    folder = Path(folder)
    with reported(folder), staging(folder) as room:
        yield room
        names = sorted(entry.name for entry in room.iterdir() if not entry.name.startswith("."))
        names.sort(key=lambda name: name == last)
        commit([(room / name, folder / name) for name in names])


def write_all(contents: Mapping[Path, str] | Mapping[Path, bytes]) -> None:
    """Write several files, in whatever folders, all or none; text as UTF-8. The last one vouches for the others.

    Raises:
        EwsError: one cannot be written, or not be placed; the old files are as they were.
    """
    with contextlib.ExitStack() as held:
        rooms: dict[Path, Path] = {}
        moves = []
        for path, content in contents.items():
            with reported(path):
                if path.parent not in rooms:
                    rooms[path.parent] = held.enter_context(staging(path.parent))
                new = rooms[path.parent] / path.name
                new.write_bytes(content.encode() if isinstance(content, str) else content)
            moves.append((new, path))
        with reported(moves[-1][1]):
            commit(moves)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically. NaN is refused."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return what :func:`write_json` writes."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        EwsError: the file is missing or is not JSON; the message names it.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_constant)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, an endless number, endless brackets
        raise EwsError(f"{path}: not valid JSON ({error}). Delete it and run again.") from None


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def exclusive(folder: Path | str) -> Iterator[None]:
    """Hold a folder for one process; the lock ends with the process, SIGKILL included.

    Raises:
        EwsError: another process holds it, or it cannot be made or locked.
    """
    folder = Path(folder)
    lock = FileLock(folder / ".lock")
    with reported(folder):
        make_folder(folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EwsError(
                f"{folder}: another process is writing here. Wait for it to end, or stop it, then run again."
            ) from None
        except NotImplementedError:
            raise EwsError(f"{folder}: this file system has no locks (flock). Write to another one.") from None
    try:
        yield
    finally:
        lock.release()
