"""What all corruptions share: checking the arguments and running one over a set in blocks of bounded memory."""

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError, unknown
from ews.corruptions.profiles import PROFILES
from ews.images.streams import Streams

SMALLEST_SIDE = 16
# OpenCV moves pixels within sides of 15 bits; fog's fractal, a square of the longer side, also grows beyond reason.
LARGEST_SIDE = 2**15 - 1
# Elements per block: float64 temporaries of 2 MB stay in the processor's cache.
BLOCK = 2**18


class InvalidInput(EwsError, ValueError):
    """An argument is not valid; the message names the valid values."""


class Corruption(Protocol):
    """One corruption of a block of images."""

    def __call__(
        self, images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams
    ) -> NDArray[np.uint8]:
        """Return the corrupted block, uint8 [N, H, W, 3]; ``streams`` are those of its N images."""


def check_name(name: str, valid: Collection[str]) -> None:
    """Refuse a corruption that does not exist.

    Raises:
        InvalidInput: naming the valid ones.
    """
    if name not in valid:
        raise InvalidInput(str(unknown("corruption", name, valid)))


def apply(
    function: Corruption,
    images: NDArray[np.uint8],
    *,
    name: str,
    severity: int,
    seed: int,
    profile: str,
    indices: Sequence[int] | NDArray[np.integer] | None,
) -> NDArray[np.uint8]:
    """Check the arguments of :func:`ews.corruptions.corrupt` and run ``function`` block by block.

    Raises:
        InvalidInput: an argument is not valid.
    """
    if not _is_integer(severity) or severity not in (1, 2, 3, 4, 5):
        raise InvalidInput(f"severity {severity!r}: valid are the integers 1, 2, 3, 4, 5.")
    numbers = check_images(images, seed=seed, profile=profile, indices=indices)
    corrupted = np.empty(images.shape, np.uint8)
    step = max(1, BLOCK // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), step):
        block = slice(start, start + step)
        streams = Streams(seed=seed, name=name, severity=severity, indices=numbers[block])
        corrupted[block] = function(
            np.ascontiguousarray(images[block]), profile=profile, severity=severity, streams=streams
        )
    return corrupted


def fits(height: int, width: int) -> bool:
    """Say whether images of this size can be corrupted."""
    return SMALLEST_SIDE <= min(height, width) and max(height, width) <= LARGEST_SIDE


def check_images(
    images: NDArray[np.uint8],
    *,
    seed: int,
    profile: str,
    indices: Sequence[int] | NDArray[np.integer] | None,
) -> NDArray[np.uint64]:
    """Return the images' numbers, uint64 [N].

    Raises:
        InvalidInput: an argument is not valid.
    """
    if not _is_integer(seed):
        raise InvalidInput(f"seed {seed!r}: valid is any integer.")
    if profile not in PROFILES:
        raise InvalidInput(str(unknown("profile", profile, PROFILES)))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        kind = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise InvalidInput(
            f"images of type {kind}: valid is a NumPy array of uint8, 0 to 255. ews.to_uint8 converts others."
        )
    if images.ndim != 4 or images.shape[3] != 3 or not fits(*images.shape[1:3]):
        raise InvalidInput(
            f"images of shape {images.shape}: valid is [N, H, W, 3] with H and W at least {SMALLEST_SIDE} "
            f"and at most {LARGEST_SIDE:,}. ews.to_uint8 converts images with other axes."
        )
    if indices is None:
        return np.arange(len(images), dtype=np.uint64)
    numbers = np.asarray(indices)
    if numbers.shape != (len(images),) or (numbers.size and numbers.dtype.kind not in "iu"):
        raise InvalidInput(
            f"indices of type {numbers.dtype} and shape {numbers.shape}: valid is one integer for each of "
            f"the {len(images)} images."
        )
    if numbers.size and numbers.min() < 0:
        raise InvalidInput(f"index {numbers.min()}: valid are integers of 0 or more.")
    return numbers.astype(np.uint64)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
