"""Perturbation sequences as a stream of batches, made as they are used, so that none need be stored."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ews.images.reading import open_images
from ews.images.workers import run_all
from ews.perturbations import frames, perturb

# Bytes of frames at a time; at least one sequence.
BATCH = 2**24


def batches(
    images: Path, *, name: str, indices: NDArray[np.int64], seed: int, profile: str, workers: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the sequences of some images, batch by batch in their order.

    Memory holds the batch that is in use and, with several workers, two more for each. Where the stream is cut into
    batches depends on nothing but the arguments before ``workers``.

    Args:
        images: ``.npy`` file of a whole set, uint8 [N, H, W, 3].
        name: the perturbation.
        indices: [n], which images of the set, in which order; also their numbers in the random streams.
        seed: names the random streams.
        profile: whose constants.
        workers: processes, 0 or more; 0 and 1 are this process.

    Yields:
        uint8 [B, T, H, W, 3].

    Raises:
        EwsError: the file cannot be read, or an argument is not valid.
    """
    clean = open_images(images)
    size = max(1, BATCH // (frames(name, profile) * int(np.prod(clean.shape[1:]))))
    # One image tells whether all arguments fit, before processes are started.
    perturb(np.array(clean[:1]), name=name, seed=seed, profile=profile)
    del clean
    parts = [indices[start : start + size] for start in range(0, len(indices), size)]
    return run_all(partial(_make, images=Path(images), name=name, profile=profile, seed=seed), parts, workers=workers)


def _make(part: NDArray[np.int64], *, images: Path, name: str, profile: str, seed: int) -> NDArray[np.uint8]:
    # Opened anew for each part: mapped pages count as the process's memory until they are let go.
    still = np.array(open_images(images)[part])
    return perturb(still, name=name, seed=seed, profile=profile, indices=part)
