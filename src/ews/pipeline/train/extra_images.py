"""The extra images of each batch: which ones, augmented, beside the labelled ones."""

from collections.abc import Iterator
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ews import augment
from ews.augment.augmentation import Source
from ews.core.seeds import numpy_stream, stream_seed
from ews.data import extra
from ews.data.dataset import Dataset
from ews.methods.epoch_sizes import EpochSizes
from ews.pipeline.study.cell import Cell


class ExtraImages:
    """A share of each batch from `data/<dataset>-extra/`, drawn as a function of (seed, epoch)."""

    def __init__(
        self,
        cell: Cell,
        dataset: Dataset,
        *,
        sizes: EpochSizes,
        form: Literal["batches", "pass"],
        device: torch.device,
        workers: int,
    ) -> None:
        """Open the images; nothing is trained without them.

        Args:
            cell: the training run's resolved parameters.
            dataset: whose extra images.
            sizes: how many each batch of an epoch takes.
            form: how they are drawn, as :class:`ews.methods.epoch_sizes.MixtureParameters` says it of an epoch.
            device: where batches are wanted.
            workers: processes that augment; no effect on values.

        Raises:
            EwsError: there are no such images.
        """
        self.seed = cell.seed
        self.device = device
        self.sizes = sizes.extra
        self.form = form
        self.source = extra.load(dataset)
        # With the cell's seed the extra image of the same number would be cropped as the labelled one is.
        seed = stream_seed(self.seed, "extra")
        source = Source(images=self.source.images, seed=seed, device=device, workers=workers)
        self.augment = augment.build(cell.augmentation.parameters, source, cell.augmentation.crop)

    def order(self, epoch: int) -> np.ndarray:
        """Return which images an epoch shows, int64 [n], in the order of its batches.

        ``batches``: independent draws, so that one may come twice. ``pass``: one comes again only after all others.
        """
        count, total = len(self.source.labels), sum(self.sizes)
        generator = numpy_stream(self.seed, "extra order", epoch)
        if self.form == "batches":
            return generator.integers(count, size=total)
        order = np.empty(0, dtype=np.int64)
        while len(order) < total:
            order = np.concatenate([order, generator.permutation(count)])
        return order[:total]

    def loader(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield views [V, k, 3, H, W] and labels int64 [k], once for each batch of an epoch."""
        order = self.order(epoch)
        labels = torch.from_numpy(self.source.labels[order]).to(self.device)
        # An image that is drawn twice is augmented anew, by the random numbers of its place and not of its index.
        rows = np.arange(len(order)) if self.form == "batches" else None
        # All batches take as many as the first; the last one fewer, or more, where extra images fill it.
        size, last = self.sizes[0], self.sizes[-1]
        cut = len(order) - last if last > size else len(order)
        views = chain.from_iterable(
            self.augment.loader(order[part], epoch=epoch, batch_size=most, rows=None if rows is None else rows[part])
            for part, most in ((slice(cut), size), (slice(cut, None), last))
            if len(order[part]) > 0
        )
        yield from zip(views, labels.split(list(self.sizes)), strict=True)
