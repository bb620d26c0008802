"""Random crop of the padded image and horizontal flip: the start of every augmentation, drawn per epoch at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ews.augment.augmentation_specs import Crop
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream


@dataclass(frozen=True)
class Draws:
    """One epoch's random numbers, row i for training image i.

    ``top`` and ``left``: int64 [N] in 0..2*padding, where the crop starts in the padded image.
    ``flip``: bool [N]. ``seeds``: uint64 [N], for what the augmentation draws beyond the crop.
    """

    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray
    seeds: np.ndarray

    def of(self, rows: np.ndarray) -> "Draws":
        """Return the draws of some rows, int64 [n], in their order."""
        return Draws(top=self.top[rows], left=self.left[rows], flip=self.flip[rows], seeds=self.seeds[rows])


def draw(*, seed: int, epoch: int, count: int, padding: int, flip: bool) -> Draws:
    """Draw for the first ``count`` images of an epoch.

    Each image has four 64-bit words of the stream (seed, "augment", epoch), so that its row is the
    same whatever ``count`` is. (A modulo of 64 bits is uniform to 1 part in 10^18.)
    """
    words = numpy_stream(seed, "augment", epoch).integers(0, 2**64, size=(count, 4), dtype=np.uint64)
    offsets = (words[:, :2] % np.uint64(2 * padding + 1)).astype(np.int64)
    heads = (words[:, 2] >> np.uint64(63)).astype(bool)
    return Draws(top=offsets[:, 0], left=offsets[:, 1], flip=heads & flip, seeds=words[:, 3])


def draws_of(order: np.ndarray, rows: np.ndarray | None, *, count: int, seed: int, epoch: int, crop: Crop) -> Draws:
    """Return what the images of ``order`` draw in an epoch: each by its index, or as ``rows`` say.

    Args:
        order: int64 [n], indices into ``count`` images.
        rows: int64 [n], or None.
        count: images that there are.
        seed: as in :func:`draw`; so is ``epoch``.
        crop: the dataset's.
    """
    if rows is None:
        rows = order
    else:
        count = int(rows.max(initial=-1)) + 1
    return draw(seed=seed, epoch=epoch, count=count, padding=crop.padding, flip=crop.flip).of(rows)


def crop_and_flip(images: Tensor, *, top: Tensor, left: Tensor, flip: Tensor, padding: int, fill: int = 0) -> Tensor:
    """Cut an H x W window out of each padded image and mirror it left to right where ``flip`` is set.

    Args:
        images: uint8 [B, H, W, 3].
        top: int64 [B] in 0..2*padding; ``padding`` leaves the image where it is. ``left`` likewise.
        flip: bool [B].
        padding: pixels on each side.
        fill: their grey level, 0..255.

    Returns:
        uint8 [B, H, W, 3].
    """
    count, height, width, _ = images.shape
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding), value=fill)
    across = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None], width - 1 - across, across)
    batch = torch.arange(count, device=images.device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 [..., H, W, 3] in 0..255 into float32 [..., 3, H, W] in [0, 1], contiguous."""
    return images.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def parts(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield ``order`` in consecutive parts of ``batch_size``; the last one holds what remains."""
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def check_crop(images: np.ndarray, *, padding: int) -> None:
    """Refuse what is not a stack of colour images, or a padding that is negative or exceeds the image.

    Raises:
        EwsError: says what was given and what is needed.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise EwsError(f"training images: {images.dtype} {list(images.shape)} given; needed: uint8 [N, H, W, 3].")
    if not 0 <= padding <= min(images.shape[1:3]):
        raise EwsError(f"crop.padding: {padding} is not in 0..{min(images.shape[1:3])} (the size of the images).")
