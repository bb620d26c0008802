"""Reading and writing files so that nothing half-written or damaged is ever taken for a whole."""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
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


def read_limited(path: Path | str, limit: int, *, missing: str = "", remedy: str = "") -> str:
    """Read a text file in UTF-8 that has at most ``limit`` bytes.

    Args:
        path: the file.
        limit: bytes; no more than one beyond is read.
        missing: what to do where it is not there, a sentence.
        remedy: what to do where it cannot be read, a sentence.

    Raises:
        EwsError: missing, unreadable, larger, or not UTF-8; the message names the file, and the line.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.{missing and ' '}{missing}") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise EwsError(f"{path}: cannot be read ({reason}).{remedy and ' '}{remedy}") from None
    if len(content) > limit:
        raise EwsError(f"{path}: larger than {limit:,} bytes, the most that is read. Is it the right file?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EwsError(
            f"{path}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x}). "
            f"{remedy or 'Save it as UTF-8 and run again.'}"
        ) from None


JSON_BYTES = 2**27
"""How large a JSON file may be."""
JSON_LEVELS = 64
"""How deep its objects and lists may stand in each other."""


def read_json(path: Path | str, *, remedy: str = "Delete it and run again.") -> Any:
    """Read a JSON file: each key of an object once, no number that Python cannot hold, within the bounds above.

    Args:
        path: the file.
        remedy: what to do where it is wrong, a sentence.

    Raises:
        EwsError: the file is missing or is not such JSON; the message names it.
    """
    return parse_json(read_limited(path, JSON_BYTES, remedy=remedy), name=str(path), remedy=remedy)


def parse_json(text: str, *, name: str, remedy: str) -> Any:
    """Read JSON as :func:`read_json` does.

    Args:
        text: the JSON.
        name: what to call it in messages.
        remedy: what to do where it is wrong, a sentence.

    Raises:
        EwsError: it is not such JSON; the message names it.
    """
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_once)
        _check_levels(value)
    except (ValueError, RecursionError) as error:  # no JSON, an endless number, endless brackets
        raise EwsError(f"{name}: not valid JSON ({error}). {remedy}") from None
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in an object")
    return found


def _check_levels(value: Any) -> None:
    """Refuse what later steps, which call themselves for each level, would end in."""
    here = [value]
    for _ in range(JSON_LEVELS):
        here = [part for node in here if isinstance(node, dict | list) for part in _parts(node)]
        if not here:
            return
    raise ValueError(f"deeper than {JSON_LEVELS} levels")


def _parts(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


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
