"""Corrupted images as a stream of batches, made as they are used: the bytes of a stored set without the set."""

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ews.corruptions import corrupt
from ews.images.reading import PIECE, open_images
from ews.images.workers import run_all

Piece = tuple[str, int, NDArray[np.int64]]
"""Corruption, severity, and the numbers of some images."""


def batches(
    images: Path,
    *,
    blocks: Sequence[tuple[str, int]],
    indices: NDArray[np.int64],
    batch: int,
    seed: int,
    profile: str,
    workers: int,
) -> Generator[NDArray[np.uint8]]:
    """Yield corrupted copies of some images, block after block; no block shares a batch with another.

    Memory holds a batch and the pieces ahead of it, :data:`PIECE` bytes each and two for each worker. The result does
    not depend on ``batch`` (but for where it is cut) or ``workers``.

    Args:
        images: ``.npy`` file of a whole set, uint8 [N, H, W, 3].
        blocks: (corruption, severity) in the order wanted.
        indices: [n], which images of the set, in which order; each block goes through all of them.
        batch: images per array but for a block's last, 1 or more.
        seed: names the random streams.
        profile: whose constants.
        workers: processes, 0 or more; 0 and 1 are this process.

    Yields:
        uint8 [batch or fewer, H, W, 3].

    Raises:
        EwsError: the file cannot be read, or an argument is not valid.
    """
    clean = open_images(images)
    step = max(1, PIECE // int(np.prod(clean.shape[1:])))
    for name, severity in blocks[:1]:
        # One image tells whether all arguments fit, before processes are started.
        corrupt(np.array(clean[:1]), name=name, severity=severity, seed=seed, profile=profile)
    del clean
    whole = [indices[start : start + batch] for start in range(0, len(indices), batch)]
    parts = [[part[start : start + step] for start in range(0, len(part), step)] for part in whole]
    pieces = ((name, severity, piece) for name, severity in blocks for part in parts for piece in part)
    made = run_all(partial(_corrupt, images=Path(images), seed=seed, profile=profile), pieces, workers=workers)
    # Closed with this stream, so that the processes end when it is left early.
    with closing(made):
        for _ in blocks:
            for part in parts:
                arrays = [next(made) for _ in part]
                yield arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _corrupt(piece: Piece, *, images: Path, seed: int, profile: str) -> NDArray[np.uint8]:
    name, severity, indices = piece
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    clean = np.array(open_images(images)[indices])
    return corrupt(clean, name=name, severity=severity, seed=seed, profile=profile, indices=indices)
