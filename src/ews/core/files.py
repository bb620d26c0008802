"""Reading and writing files so that nothing half-written or damaged is ever taken for a whole."""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
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


def read_json(path: Path | str, *, remedy: str = "Delete it and run again.") -> Any:
    """Read a JSON file.

    Args:
        path: the file; no key in it stands twice, and no number is infinite.
        remedy: what to do where it is wrong, a sentence.

    Raises:
        EwsError: the file is missing or is not JSON; the message names it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_distinct)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.") from None
    except OSError as error:
        raise EwsError(f"{path}: cannot be read: {error.strerror or error}. {remedy}") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, an endless number, endless brackets
        raise EwsError(f"{path}: not valid JSON ({error}). {remedy}") from None


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


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
