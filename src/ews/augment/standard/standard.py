"""Standard augmentation: random crop and, where the dataset says so, horizontal flip; batched on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ews.augment.augmentation import CrossEntropy, Source
from ews.augment.augmentation_specs import Crop
from ews.augment.crop import check_crop, crop_and_flip, draws_of, to_float
from ews.augment.standard.standard_spec import StandardParameters

# The share of a GPU's free memory that the training set may take; the rest is for the training itself (choice).
RESIDENT_SHARE = 0.25


class Standard:
    """Crops of padded images, flipped with probability 1/2 if ``flip``; one view, plain cross-entropy.

    On a GPU the whole training set lives there as uint8 where it fits, so that no worker and no
    copy stands between two steps (as in airbench by Keller Jordan); else batches are copied from the host.
    """

    views = 1

    def __init__(self, source: Source, crop: Crop, parameters: StandardParameters) -> None:
        """Take the images; the source's workers and the parameters, which are none, are not needed.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        check_crop(source.images, padding=crop.padding)
        self._images = source.images
        self._seed = source.seed
        self._device = torch.device(source.device)
        self._crop = crop
        self._resident: Tensor | None = None
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            if self._images.nbytes <= RESIDENT_SHARE * free:
                self._resident = torch.tensor(np.asarray(self._images), device=self._device)

    def loader(
        self, order: np.ndarray, *, epoch: int, batch_size: int, rows: np.ndarray | None = None
    ) -> Iterator[Tensor]:
        """Yield float32 [1, B, 3, H, W]; see :meth:`ews.augment.augmentation.Augment.loader`."""
        draws = draws_of(order, rows, count=len(self._images), seed=self._seed, epoch=epoch, crop=self._crop)
        # The epoch's order and draws go to the device at once: a step then waits for no copy.
        places, top, left, flip = (
            torch.tensor(values, device=self._device) for values in (order, draws.top, draws.left, draws.flip)
        )
        for start in range(0, len(order), batch_size):
            part = slice(start, start + batch_size)
            if self._resident is not None:
                images = self._resident[places[part]]
            else:
                images = torch.from_numpy(self._images[order[part]]).to(self._device)
            cropped = crop_and_flip(
                images,
                top=top[part],
                left=left[part],
                flip=flip[part],
                padding=self._crop.padding,
                fill=self._crop.fill,
            )
            yield to_float(cropped)[None]

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return the cross-entropy of the only view."""
        return cross_entropy(logits[0], labels)
