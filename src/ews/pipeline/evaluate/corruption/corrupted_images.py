"""Where corrupted test images come from: stored sets, checked by their records, or made while they are measured."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ews.core.arrays import read_npy
from ews.core.errors import EwsError
from ews.corruptions.corrupted_batches import batches
from ews.data.dataset import Dataset
from ews.pipeline.corrupt.stored import BUILD, TEST_IMAGES, read_record, verify
from ews.pipeline.evaluate.corruption.corruption_spec import SEVERITIES, CorruptedImages
from ews.pipeline.evaluate.predict import BATCH, parts

BLOCKS = len(SEVERITIES)
"""Blocks in a corruption's file, the mildest first (the published layout)."""

LABELS = "labels.npy"

Block = tuple[str, int]
"""Corruption and severity, 1 to 5."""
Batches = Iterable[np.ndarray]
"""The images of a block, uint8 [B, H, W, 3] each; to be used up before the next block's."""


class Images(Protocol):
    """Corrupted test images."""

    def about(self, name: str) -> CorruptedImages:
        """Return what a corruption's images are, for results: the same for the same images, stored or not."""

    def identity(self, name: str) -> dict[str, Any]:
        """Return what partial results of a corruption must agree in to be resumed."""

    def blocks(self, wanted: Sequence[Block], *, indices: np.ndarray) -> Generator[Batches]:
        """Yield the batches of each block wanted, in order; ``indices`` int64 [n] says which test images."""


class Made:
    """Images that are corrupted batch by batch, in worker processes, while the network predicts."""

    def __init__(self, dataset: Dataset, *, seed: int, profile: str, workers: int) -> None:
        """Take the settings of :func:`ews.corruptions.corrupt`; ``workers``: 0 or 1 for none beside this process."""
        self._images = dataset.folder / TEST_IMAGES
        self._settings: dict[str, Any] = {"seed": seed, "profile": profile}
        self._workers = workers

    def about(self, name: str) -> CorruptedImages:
        """Return seed and profile."""
        return CorruptedImages(source="generated", **self._settings)

    def identity(self, name: str) -> dict[str, Any]:
        """Return the same; the images and the code are the evaluation's own."""
        return self.about(name).model_dump()

    def blocks(self, wanted: Sequence[Block], *, indices: np.ndarray) -> Generator[Batches]:
        """Yield the batches of each block; memory holds a few."""
        made = batches(
            self._images, blocks=wanted, indices=indices, batch=BATCH, workers=self._workers, **self._settings
        )
        with closing(made):
            for _ in wanted:
                yield islice(made, -(-len(indices) // BATCH))


class Stored:
    """Sets on disk: ``<name>.npy``, ``<name>.json`` with its SHA-256, and ``labels.npy``."""

    def __init__(
        self, folder: Path, names: Sequence[str], *, dataset: Dataset, seed: int | None, profile: str | None
    ) -> None:
        """Open the sets, and check all that is quick to check.

        Args:
            folder: where they lie.
            names: corruptions that will be measured.
            dataset: whose test images were corrupted.
            seed: that they must have been made with; None: any, or published sets.
            profile: likewise.

        Raises:
            EwsError: a file is missing, damaged, or belongs to other test images or settings.
        """
        # All of them before the first is measured: a missing one should not be found out after an hour.
        check_labels(folder / LABELS, dataset.test_labels)
        self._folder = folder
        self._arrays = {name: open_images(folder, name, like=dataset.test_images) for name in names}
        given = {"seed": seed, "profile": profile}
        self._records = {
            name: read_record(folder, name, images_sha256=dataset.info.files[TEST_IMAGES], seed=seed, profile=profile)
            for name in names
        }
        for name, record in self._records.items():
            lacking = [key for key, value in given.items() if value is not None and getattr(record, key) is None]
            if lacking:
                raise EwsError(
                    f"{folder / name}.json: has no {lacking[0]}: these are not images made with {lacking[0]} "
                    f"{given[lacking[0]]}. Give no --seed and --profile to measure published sets."
                )

    def about(self, name: str) -> CorruptedImages:
        """Return seed and profile of a set that was made here, the checksum of another."""
        record = self._records[name]
        if record.seed is not None:
            return CorruptedImages(source="generated", seed=record.seed, profile=record.profile)
        return CorruptedImages(source=record.source, sha256=record.sha256)

    def identity(self, name: str) -> dict[str, Any]:
        """Return the same and the checksum."""
        return {**self.about(name).model_dump(), "sha256": self._records[name].sha256}

    def blocks(self, wanted: Sequence[Block], *, indices: np.ndarray) -> Generator[Batches]:
        """Yield the batches of each block, after comparing the file's checksum.

        Raises:
            EwsError: a file is not what its record says.
        """
        verified = set()
        for name, severity in wanted:
            if name not in verified:
                # Just before it is read, so that the disk is read once.
                verify(self._folder, name, self._records[name])
                verified.add(name)
            images = self._arrays[name]
            block = images.reshape(BLOCKS, -1, *images.shape[1:])[severity - 1]
            yield _cut(block, indices)


def _cut(block: np.ndarray, indices: np.ndarray) -> Iterator[np.ndarray]:
    return (block[part] for part in parts(indices))


def open_images(folder: Path, name: str, *, like: np.ndarray) -> np.ndarray:
    """Map one corruption's images: uint8 [5 N, H, W, 3] for the N test images ``like``.

    Raises:
        EwsError: not generated, damaged, or of another number or size of images.
    """
    path = folder / f"{name}.npy"
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("[!.]*.npy") if file.name != LABELS)
        raise EwsError(f"{path}: not generated. There: {', '.join(there) or 'none'}. {BUILD}")
    images = _load(path, mapped=True)
    expected = (BLOCKS * len(like), *like.shape[1:])
    if images.dtype != np.uint8 or images.shape != expected:
        raise EwsError(
            f"{path}: is {images.dtype} {list(images.shape)}; {BLOCKS} severities of {len(like)} test images are "
            f"uint8 {list(expected)}. Delete it. {BUILD}"
        )
    return images


def check_labels(path: Path, test_labels: np.ndarray) -> None:
    """Refuse corrupted images whose labels are not the test labels [N], once per severity.

    Raises:
        EwsError: missing, damaged or different.
    """
    if not path.is_file():
        raise EwsError(f"{path}: missing. {BUILD}")
    labels = _load(path, mapped=False)
    if labels.dtype.kind not in "iu" or not np.array_equal(labels, np.tile(test_labels, BLOCKS)):
        raise EwsError(
            f"{path}: {labels.dtype} {list(labels.shape)} that are not the test labels, integers [{len(test_labels)}] "
            f"in each of {BLOCKS} blocks: these are corruptions of other images. Delete {path.parent}. {BUILD}"
        )


def _load(path: Path, *, mapped: bool) -> np.ndarray:
    try:
        return read_npy(path, mapped=mapped)
    except EwsError as problem:
        raise EwsError(f"{problem} Delete it. {BUILD}") from None
