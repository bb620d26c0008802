"""Random streams as functions of what they are for, so that nothing depends on what ran before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(*key: int | str) -> int:
    """Return a 63-bit seed for the stream that ``key`` names, e.g. ``(seed, "order", epoch)``.

    The key's text is hashed (BLAKE2b), so that neighbouring keys give unrelated streams and the
    same key the same stream on every platform and Python version.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_stream(*key: int | str) -> np.random.Generator:
    """Return NumPy's default generator at the start of the stream that ``key`` names."""
    return np.random.default_rng(stream_seed(*key))


def torch_stream(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator on ``device`` at the start of the stream that ``key`` names."""
    import torch  # Jobs that only draw from NumPy start without its seconds and its memory.

    return torch.Generator(device=device).manual_seed(stream_seed(*key))
