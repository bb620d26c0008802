"""The training state on disk: written whole or not at all, refused when damaged or of another training run."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from ews.core import files

KEYS = {"identity", "training", "logs"}
MAGIC = b"ews training state 1\n"
DIGEST = 64


class Damaged(Exception):
    """The bytes are not those that were written."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically, with its SHA-256 in front.

    Args:
        path: the file.
        state: under :data:`KEYS`: tensors, numbers, strings, lists and dicts; nothing that needs code to be loaded.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    with files.atomic(path) as temporary:
        temporary.write_bytes(MAGIC + hashlib.sha256(payload).hexdigest().encode() + payload)


def read(path: Path) -> dict[str, Any]:
    """Read a state onto the CPU.

    Raises:
        Damaged: truncated, altered, never a training state, or holding what only code could load.
    """
    content = path.read_bytes()
    start = len(MAGIC) + DIGEST
    payload = content[start:]
    if not content.startswith(MAGIC) or hashlib.sha256(payload).hexdigest().encode() != content[len(MAGIC) : start]:
        raise Damaged
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):
        raise Damaged from None
    if not isinstance(state, dict) or set(state) != KEYS:
        raise Damaged
    return state


def resume(path: Path, identity: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    """Return the state to resume from, and what to tell the reader.

    A state that cannot be used is set aside, ``state.pt.damaged`` or ``state.pt.stale``, and the
    training starts anew: the cell's outputs are then exactly those of an undisturbed run.

    Args:
        path: the state file.
        identity: what must agree, e.g. ``{"parameters": hash, "code": ..., "data": ...}``.

    Returns:
        (state, ""), (None, "") without a file, or (None, message).
    """
    try:
        state = read(path)
    except FileNotFoundError:
        return None, ""
    except Damaged:
        aside = _set_aside(path, "damaged")
        return None, f"{path} is damaged; set aside as {aside.name}; starting from the first epoch."
    differing = [key for key, value in identity.items() if state["identity"].get(key) != value]
    if differing:
        aside = _set_aside(path, "stale")
        return None, (
            f"{path} belongs to a training run with other {' and '.join(differing)}; "
            f"set aside as {aside.name}; starting from the first epoch."
        )
    return state, ""


def _set_aside(path: Path, reason: str) -> Path:
    aside = path.with_name(f"{path.name}.{reason}")
    path.replace(aside)
    return aside
