"""What every augmentation offers to the trainer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

CrossEntropy = Callable[[Tensor, Tensor], Tensor]
"""(logits [B, classes], labels int64 [B]) -> scalar: the trainer's loss, label smoothing included."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The images that an augmentation works on, and where.

    Attributes:
        images: all training images, uint8 [N, H, W, 3], memory-mapped or not; the loader's indices point into it.
        seed: the cell's seed.
        device: where batches are wanted.
        workers: processes that augment image by image; 0 does it in this one. No effect on values.
    """

    images: np.ndarray
    seed: int
    device: torch.device | str
    workers: int


class Augment(Protocol):
    """Random views of the training images, and the loss that joins them."""

    views: int
    """V, the number of views of each image in a batch; the first is the one that the labels supervise."""

    def loader(
        self, order: np.ndarray, *, epoch: int, batch_size: int, rows: np.ndarray | None = None
    ) -> Iterator[Tensor]:
        """Yield float32 [V, B, 3, H, W] in [0, 1] on the device, image after image as ``order`` says.

        What becomes of an image is a function of (seed, epoch, its row) alone: not of the order,
        the batch size, which other images are there, or the number of workers.

        Args:
            order: int64 [n], indices into the training images. The last batch holds what remains.
            epoch: counts from 0.
            batch_size: B, images per batch (each in V views).
            rows: int64 [n], which random numbers of the epoch each image takes; None: those of its index.
        """
        ...

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return the scalar training loss of logits [V, B, classes] with labels int64 [B]."""
        ...
