"""Standard augmentation: random crop and, where the dataset says so, horizontal flip; batched on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ews.augment import crop
from ews.augment.base import CrossEntropy

# The share of a GPU's free memory that the training set may take; the rest is for the training itself (choice).
RESIDENT_SHARE = 0.25


class Standard:
    """Crops of zero-padded images, flipped with probability 1/2 if ``flip``; one view, plain cross-entropy.

    On a GPU the whole training set lives there as uint8 where it fits, so that no worker and no
    copy stands between two steps (as in airbench by Keller Jordan); else batches are copied from the host.
    """

    views = 1

    def __init__(
        self,
        *,
        images: np.ndarray,
        seed: int,
        device: torch.device | str,
        workers: int,
        padding: int,
        flip: bool,
    ) -> None:
        """Take what :func:`ews.augment.build` gives; ``workers`` is not needed here.

        Args:
            images: uint8 [N, H, W, 3].
            seed: the cell's seed.
            device: where batches are wanted.
            workers: ignored.
            padding: zeros on each side, in pixels.
            flip: mirror each image with probability 1/2.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        crop.check(images, padding=padding)
        self._images = images
        self._seed = seed
        self._device = torch.device(device)
        self._padding = padding
        self._flip = flip
        self._resident: Tensor | None = None
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            if images.nbytes <= RESIDENT_SHARE * free:
                self._resident = torch.tensor(np.asarray(images), device=self._device)

    def loader(self, order: np.ndarray, *, epoch: int, batch_size: int) -> Iterator[Tensor]:
        """Yield float32 [1, B, 3, H, W]; see :meth:`ews.augment.base.Augment.loader`."""
        draws = crop.draw(seed=self._seed, epoch=epoch, count=len(self._images), padding=self._padding, flip=self._flip)
        # The epoch's order and draws go to the device at once: a step then waits for no copy.
        places, top, left, flip = (
            torch.tensor(values, device=self._device)
            for values in (order, draws.top[order], draws.left[order], draws.flip[order])
        )
        for start in range(0, len(order), batch_size):
            part = slice(start, start + batch_size)
            if self._resident is not None:
                images = self._resident[places[part]]
            else:
                images = torch.from_numpy(self._images[order[part]]).to(self._device)
            cropped = crop.crop_and_flip(images, top=top[part], left=left[part], flip=flip[part], padding=self._padding)
            yield crop.to_float(cropped)[None]

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return the cross-entropy of the only view."""
        return cross_entropy(logits[0], labels)
