"""The extra images of each batch: which ones, augmented, beside the labelled ones."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ews import augment
from ews.augment.augmentation import Source
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, stream_seed
from ews.data import extra
from ews.data.dataset import Dataset
from ews.pipeline.study.cell import Cell


class ExtraImages:
    """A share of each batch from `data/<dataset>-extra/`, in an order that is a function of (seed, epoch)."""

    def __init__(self, cell: Cell, dataset: Dataset, *, share: float, device: torch.device, workers: int) -> None:
        """Open the images; nothing is trained without them.

        Args:
            cell: the training run's resolved parameters.
            dataset: whose extra images.
            share: of each batch, in (0, 1).
            device: where batches are wanted.
            workers: processes that augment; no effect on values.

        Raises:
            EwsError: there are no such images, or the share leaves a batch without one kind of images.
        """
        size = cell.recipe.batch_size
        self.size = round(share * size)
        self.labelled = size - self.size
        if not 0 < self.size < size:
            raise EwsError(f"method rst: share {share} of batches of {size} images leaves {self.labelled} labelled.")
        self.seed = cell.seed
        self.device = device
        self.source = extra.load(dataset)
        # With the cell's seed the extra image of the same number would be cropped as the labelled one is.
        seed = stream_seed(self.seed, "extra")
        source = Source(images=self.source.images, seed=seed, device=device, workers=workers)
        self.augment = augment.build(cell.augmentation.parameters, source, cell.augmentation.crop)

    def count(self, labelled: int) -> int:
        """Return how many extra images stand beside that many labelled ones; in proportion in the last batch."""
        return max(1, round(labelled * self.size / self.labelled))

    def loader(self, epoch: int, labelled: list[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield views [V, k, 3, H, W] and labels int64 [k] for batches with so many labelled images each.

        An image comes again in an epoch only after all others have been shown.
        """
        counts = [self.count(number) for number in labelled]
        order = np.empty(0, dtype=np.int64)
        generator = numpy_stream(self.seed, "extra order", epoch)
        while len(order) < sum(counts):
            order = np.concatenate([order, generator.permutation(len(self.source.labels))])
        order = order[: sum(counts)]
        labels = torch.from_numpy(self.source.labels[order]).to(self.device)
        views = self.augment.loader(order, epoch=epoch, batch_size=self.size)
        yield from zip(views, labels.split(self.size), strict=True)
