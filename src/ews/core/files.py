"""Reading and writing files so that nothing half-written or damaged is ever taken for a whole."""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ews.core.errors import EwsError


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without error.

    The bytes reach the disk before the name changes, so that a crash leaves the old file or the
    new one, never a part.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: np.save and friends add one where it is missing.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically. NaN is refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_limited(path: Path | str, limit: int, *, missing: str = "") -> str:
    """Read a text file in UTF-8 that has at most ``limit`` bytes.

    Args:
        path: the file.
        limit: bytes; no more than one beyond is read.
        missing: what to do where it is not there, a sentence.

    Raises:
        EwsError: missing, unreadable, larger, or not UTF-8; the message names the file, and the line.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.{missing and ' '}{missing}") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a name with a null character
        raise EwsError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(content) > limit:
        raise EwsError(f"{path}: larger than {limit:,} bytes, the most that is read. Is it the right file?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EwsError(
            f"{path}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x}). Save it as UTF-8 and run again."
        ) from None


JSON_BYTES = 2**27
"""How large a JSON file may be."""
JSON_LEVELS = 64
"""How deep its objects and lists may stand in each other."""


def read_json(path: Path | str) -> Any:
    """Read a JSON file: each key of an object once, no number that Python cannot hold, within the bounds above.

    Raises:
        EwsError: the file is missing or is not such JSON; the message names it.
    """
    text = read_limited(path, JSON_BYTES)
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_once)
        _check_levels(value)
    except (ValueError, RecursionError) as error:  # no JSON, an endless number, endless brackets
        raise EwsError(f"{path}: not valid JSON ({error}). Delete it and run again.") from None
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
        EwsError: another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise EwsError(
            f"{folder}: another process is writing here. Wait for it to end, or stop it, then run again."
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
