"""Reading a prepared dataset: what training, evaluation and corruptions import."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ews.core.documents import Document, read_document
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.data.split import stratified

INFO = "dataset.json"
REMEDY = "Delete its folder; `snakemake --cores all data`, or `ews data prepare`, builds the dataset again."
Count = Annotated[int, Field(ge=0)]
Channels = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]
# File -> type, number of dimensions. Images are mapped into memory, the small rest is read.
ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "train_images": (np.uint8, 4),
    "train_labels": (np.int64, 1),
    "test_images": (np.uint8, 4),
    "test_labels": (np.int64, 1),
    "validation": (np.int64, 1),
}


class SourceInfo(Document):
    """Where a prepared dataset came from.

    Attributes:
        name: its entry of data/sources.yaml; what follows is from there.
        sha256: of the archive; None where there was none.
    """

    name: str = ""
    title: str = ""
    licence: str = ""
    citation: str = ""
    sha256: str | None = None


class DatasetInfo(Document):
    """The content of ``dataset.json``, beside the arrays of a prepared dataset (docs/data.md).

    Attributes:
        name: the dataset's.
        classes: their names, in the order of the labels.
        image_size: pixels a side.
        train: number of training images, validation included.
        test: number of test images.
        validation: how many of the training images are held out.
        mean: of R, G, B over the training images less validation, in [0, 1].
        std: their standard deviations, likewise.
        source: where the images came from.
        files: SHA-256 of each array's file by its name.
    """

    name: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    image_size: Annotated[int, Field(ge=1)]
    train: Count
    test: Count
    validation: Count
    mean: Channels
    std: Channels
    source: SourceInfo = SourceInfo()
    files: dict[str, str]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared dataset; the arrays are read-only.

    Attributes:
        folder: where it lies.
        info: the content of ``dataset.json``.
        train_images: uint8 [N, H, W, 3], RGB, the validation images among them.
        train_labels: int64 [N].
        test_images: uint8 [M, H, W, 3].
        test_labels: int64 [M].
        validation: int64 [V], sorted positions in the training images; V may be 0.
    """

    folder: Path
    info: DatasetInfo
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    validation: NDArray[np.int64]

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.info.name

    @property
    def classes(self) -> list[str]:
        """The classes' names, in the order of the labels."""
        return list(self.info.classes)

    @property
    def image_size(self) -> int:
        """Pixels a side."""
        return self.info.image_size

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of R, G, B over the training images less validation, in [0, 1]."""
        return self.info.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of R, G, B over the training images less validation, in [0, 1]."""
        return self.info.std

    @property
    def checksum(self) -> str:
        """SHA-256 over the files' names and checksums: the data's identity, whatever its source."""
        text = "".join(f"{name}={checksum}\n" for name, checksum in sorted(self.info.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def training_indices(self, count: int | None = None) -> NDArray[np.int64]:
        """Return sorted positions of training images, none of them a validation image.

        Args:
            count: None for all, else the size of a fixed stratified subset.

        Raises:
            EwsError: ``count`` is less than 1 or more than there are.
        """
        indices = np.setdiff1d(np.arange(len(self.train_labels), dtype=np.int64), self.validation)
        return self._subset("training", self.train_labels, indices, count)

    def validation_indices(self, count: int | None = None) -> NDArray[np.int64]:
        """Return sorted positions of validation images: all, or a fixed stratified subset of ``count``.

        Without a validation split there are none, whatever ``count``.

        Raises:
            EwsError: ``count`` is less than 1 or more than there are.
        """
        if len(self.validation) == 0:
            return self.validation
        return self._subset("validation", self.train_labels, self.validation, count)

    def test_indices(self, count: int | None = None) -> NDArray[np.int64]:
        """Return sorted positions of test images: all, or a fixed stratified subset of ``count``.

        Raises:
            EwsError: ``count`` is less than 1 or more than there are.
        """
        return self._subset("test", self.test_labels, np.arange(len(self.test_labels), dtype=np.int64), count)

    def _subset(
        self, kind: str, labels: NDArray[np.int64], indices: NDArray[np.int64], count: int | None
    ) -> NDArray[np.int64]:
        if count is None:
            return indices
        if not 1 <= count <= len(indices):
            raise EwsError(f"{self.name}: {count} {kind} images wanted; valid: 1 to {len(indices)}, or null for all.")
        return indices[stratified(labels[indices], count, key=f"{kind} subset")]


def load(folder: Path | str, *, verify: bool = True) -> Dataset:
    """Open a prepared dataset.

    Args:
        folder: e.g. ``data/digits``.
        verify: compare every file's SHA-256 with ``dataset.json`` (about 0.3 s for CIFAR); if not,
            only types, shapes and lengths are checked.

    Raises:
        EwsError: a file is missing, damaged or does not fit the others; the message names it.
    """
    folder = Path(folder)
    if not (folder / INFO).is_file():
        raise EwsError(
            f"{folder}: no prepared dataset here ({INFO} is missing). `snakemake --cores all data`, or `ews data "
            "prepare`, builds it."
        )
    info = read_document(folder / INFO, DatasetInfo, remedy=REMEDY)
    counts = {"train": info.train, "test": info.test, "validation": info.validation}
    size, classes = info.image_size, len(info.classes)
    arrays = {name: _array(folder / f"{name}.npy", info.files.get(f"{name}.npy"), verify) for name in ARRAYS}
    for name, array in arrays.items():
        split, what = [*name.split("_"), "labels"][:2]
        expected = (counts[split], size, size, 3) if what == "images" else (counts[split],)
        if array.dtype != ARRAYS[name][0] or array.shape != expected:
            raise _damaged(folder / f"{name}.npy", f"is {array.dtype} {array.shape}, {INFO} says {expected}")
        limit = len(arrays["train_labels"]) if name == "validation" else classes
        if what == "labels" and array.size and not (array.min() >= 0 and array.max() < limit):
            raise _damaged(folder / f"{name}.npy", f"has values outside 0 to {limit - 1}")
    if np.any(np.diff(arrays["validation"]) <= 0):
        raise _damaged(folder / "validation.npy", "is not sorted, or names an image twice")
    return Dataset(folder=folder, info=info, **arrays)


def _array(path: Path, expected: str | None, verify: bool) -> NDArray[Any]:
    if expected is None:
        raise _damaged(path, f"is not listed in {INFO}")
    if not path.is_file():
        raise EwsError(f"{path}: missing. Build the dataset again.")
    if verify and (got := sha256(path)) != expected:
        raise _damaged(path, f"its SHA-256 is {got}, {INFO} says {expected}")
    dimensions = ARRAYS[path.stem][1]
    try:
        # An empty file cannot be mapped, and the labels are small: only images are.
        array: NDArray[Any] = np.load(path, mmap_mode="r" if dimensions == 4 else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, str(error)) from None
    array.flags.writeable = False
    return array


def _damaged(path: Path, problem: str) -> EwsError:
    return EwsError(
        f"{path}: damaged: {problem}. Delete {path.parent}; `snakemake --cores all data`, or `ews data prepare`, "
        "builds the dataset again."
    )
