"""JSON files of a known content: read strictly, refused with the key that is wrong, sealed by their own checksum.

A seal is against accidents and edits by hand: whoever seals the changed content anew is not found out.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ews.core.errors import EwsError
from ews.core.files import read_json, write_json

SEAL = "checksum"
"""The key under which a sealed file keeps the SHA-256 of the rest of its content."""


class Document(BaseModel):
    """A file's content: immutable, every key known, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


D = TypeVar("D", bound=BaseModel)


def read_document(path: Path | str, kind: type[D], *, remedy: str) -> D:
    """Read a JSON file of a known content.

    Args:
        path: the file.
        kind: the type of its content.
        remedy: what to do where it is missing or wrong, a sentence.

    Raises:
        EwsError: missing, no JSON, or of another content; one line per key that is wrong.
    """
    return _typed(path, kind, _read(path, remedy), remedy)


def read_sealed(path: Path | str, kind: type[D], *, remedy: str) -> D:
    """Read a JSON file that vouches for itself; see :func:`write_sealed`.

    Raises:
        EwsError: as :func:`read_document`; or the content is not the one that was written.
    """
    content = _read(path, remedy)
    if not isinstance(content, dict) or not isinstance(content.get(SEAL), str):
        raise EwsError(f"{path}: has no {SEAL!r} of its content: not a file of this version. {remedy}")
    found = content.pop(SEAL)
    try:
        whole = seal_of(content) == found
    except RecursionError:  # read with less on the stack than it takes to write
        whole = False
    if not whole:
        raise EwsError(f"{path}: was changed or damaged after it was written: its {SEAL} does not match. {remedy}")
    return _typed(path, kind, content, remedy)


def write_document(path: Path | str, content: BaseModel) -> None:
    """Write a typed content as JSON, atomically; for what nothing is held to later."""
    write_json(path, content.model_dump(mode="json"))


def write_sealed(path: Path | str, content: BaseModel | Mapping[str, Any]) -> None:
    """Write a content, typed or plain, as JSON with the SHA-256 of it, atomically."""
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else dict(content)
    write_json(path, {**plain, SEAL: seal_of(plain)})


def seal_of(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a content's canonical JSON (keys sorted, no spaces), 64 hex digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path | str, remedy: str) -> Any:
    if not Path(path).exists():
        raise EwsError(f"{path}: no such file. {remedy}")
    return read_json(path, remedy=remedy)


def _typed(path: Path | str, kind: type[D], content: Any, remedy: str) -> D:
    try:
        # As JSON, so that lists become tuples where the type says so.
        return kind.model_validate_json(json.dumps(content))
    except ValidationError as error:
        lines = [f"{path}: {_place(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_url=False)]
        raise EwsError("\n".join([*lines, remedy])) from None


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(map(str, path)) or "(the whole)"
