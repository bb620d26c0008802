"""Augmentation image by image in worker processes, with the same result for any number of them."""

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ews.augment.augmentation import Source
from ews.augment.augmentation_specs import Crop
from ews.augment.crop import Draws, check_crop, crop_and_flip, draws_of, parts, to_float
from ews.core.seeds import torch_stream
from ews.core.worker_room import fitting_workers, kill_children, worker_fault

PATIENCE = 600.0
"""Seconds in which some worker has to finish a batch: it takes seconds at most [choice]."""

Views = Callable[[np.ndarray, int], np.ndarray]
"""(image uint8 [H, W, 3] after crop and flip, its 64-bit seed) -> its views, uint8 [V, H, W, 3]. Must be picklable."""


class Batches(Dataset[Tensor]):
    """One epoch's batches; item k is batch k, uint8 [V, B, H, W, 3]: a quarter of what floats would take on the way."""

    def __init__(
        self, *, images: np.ndarray, order: np.ndarray, batch_size: int, draws: Draws, crop: Crop, views: Views
    ) -> None:
        """Take an epoch: ``draws`` has a row for each image of ``order``."""
        self._images = images
        self._order = list(parts(order, batch_size))
        self._draws = [draws.of(rows) for rows in parts(np.arange(len(order)), batch_size)]
        self._crop = crop
        self._views = views

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> Tensor:
        draws = self._draws[number]
        cropped = crop_and_flip(
            torch.from_numpy(self._images[self._order[number]]),
            top=torch.from_numpy(draws.top),
            left=torch.from_numpy(draws.left),
            flip=torch.from_numpy(draws.flip),
            padding=self._crop.padding,
            fill=self._crop.fill,
        ).numpy()
        views = [self._views(image, seed) for image, seed in zip(cropped, draws.seeds.tolist(), strict=True)]
        return torch.from_numpy(np.stack(views, axis=1))

    def __getstate__(self) -> dict[str, Any]:
        # Pickled only where workers are spawned: a memory-mapped file goes as its name, not as its bytes.
        path = _whole_file(self._images)
        return self.__dict__ if path is None else {**self.__dict__, "_images": path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._images, Path):
            self._images = np.load(self._images, mmap_mode="r", allow_pickle=False)


@dataclass(frozen=True)
class Piped:
    """A batch that travels between processes through a pipe.

    A tensor itself would go by way of shared memory, of which containers have little: then nothing arrives, and the
    reader waits forever.
    """

    batch: Tensor

    def __reduce__(self) -> tuple[Callable[[np.ndarray], "Piped"], tuple[np.ndarray]]:
        return _arrived, (self.batch.numpy(),)

    def pin_memory(self) -> "Piped":
        """Return the batch in memory from which a GPU copies without waiting; the loader calls this."""
        return Piped(self.batch.pin_memory())


def _piped(batch: Any) -> Piped:
    return Piped(batch)


def _arrived(batch: np.ndarray) -> Piped:
    return Piped(torch.from_numpy(batch))


class ImageByImage:
    """The loader of an augmentation that gives each image's views by ``make_views`` after crop and flip."""

    def __init__(
        self,
        make_views: Views,
        source: Source,
        crop: Crop,
    ) -> None:
        """Take how views are made, the images and the dataset's crop.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        check_crop(source.images, padding=crop.padding)
        self._make_views = make_views
        self._images = source.images
        self._seed = source.seed
        self._device = torch.device(source.device)
        self._workers = fitting_workers(source.workers)
        self._crop = crop

    def loader(
        self, order: np.ndarray, *, epoch: int, batch_size: int, rows: np.ndarray | None = None
    ) -> Iterator[Tensor]:
        """Yield float32 [V, B, 3, H, W], made ahead by the workers; see :class:`ews.augment.augmentation.Augment`.

        Raises:
            EwsError: a worker died, or has made nothing for :data:`PATIENCE`.
        """
        draws = draws_of(order, rows, count=len(self._images), seed=self._seed, epoch=epoch, crop=self._crop)
        batches = Batches(
            images=self._images,
            order=order,
            batch_size=batch_size,
            draws=draws,
            crop=self._crop,
            views=self._make_views,
        )
        cuda = self._device.type == "cuda"
        loader: DataLoader[Any] = DataLoader(
            batches,
            batch_size=None,
            num_workers=self._workers,
            collate_fn=_piped,
            pin_memory=cuda,
            timeout=PATIENCE if self._workers else 0,
            # A loader draws a seed for its workers, which nothing here uses: not from the global generator.
            generator=torch_stream("workers"),
        )
        before, fault = multiprocessing.active_children(), None
        try:
            for views in loader:
                yield to_float(views.batch.to(self._device, non_blocking=cuda))
        except (OSError, RuntimeError) as problem:
            fault = worker_fault(problem)
            if fault is None:
                raise
        if fault is not None:
            # Here, where the loader is gone with its error: it watches its workers, and would complain once more.
            kill_children(but=before)
            raise fault


def _whole_file(images: np.ndarray) -> Path | None:
    """Return the .npy file that ``images`` maps from its first to its last byte, or None."""
    name = getattr(images, "filename", None)
    if name is None or Path(name).suffix != ".npy":
        return None
    mapped = np.load(name, mmap_mode="r", allow_pickle=False)
    same = (mapped.shape, mapped.dtype, mapped.strides) == (images.shape, images.dtype, images.strides)
    return Path(name) if same else None
