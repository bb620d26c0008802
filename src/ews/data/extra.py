"""Extra images of a dataset, with labels that a network gave them: `data/<dataset>-extra/`, read for training only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ews.core.arrays import read_npy
from ews.core.documents import Document, read_sealed
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.data.dataset import Dataset

INFO = "extra.json"
IMAGES = "images.npy"
LABELS = "labels.npy"
HOW = "`ews data extra --help` and docs/adversarial.md say how to make it"


class ExtraSource(Document):
    """The file that extra images were converted from."""

    file: str
    sha256: str


class ExtraInfo(Document):
    """The content of ``extra.json``: whose extra images these are, how many, from what, and SHA-256 by file."""

    dataset: str
    images: Annotated[int, Field(ge=1)]
    source: ExtraSource
    files: dict[str, str]


@dataclass(frozen=True, eq=False)
class Extra:
    """Extra images, read-only.

    Attributes:
        images: uint8 [N, H, W, 3], RGB, of the dataset's size, mapped into memory.
        labels: int64 [N], in the dataset's classes.
        checksum: SHA-256 over the files' checksums.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    checksum: str


def folder_of(dataset: Path) -> Path:
    """Return the folder of a dataset's extra images: `data/cifar10` has `data/cifar10-extra`."""
    return dataset.with_name(f"{dataset.name}-extra")


def load(dataset: Dataset) -> Extra:
    """Open a dataset's extra images; the files' checksums are compared (about 1 s for 500,000 images of 32x32).

    Raises:
        EwsError: there are none, they are damaged, or they do not fit the dataset.
    """
    folder = folder_of(dataset.folder)
    if not (folder / INFO).is_file():
        raise EwsError(f"{folder}: no extra images here ({INFO} is missing), and the method needs them; {HOW}.")
    info = read_sealed(folder / INFO, ExtraInfo, remedy=f"Make it again: {HOW}.")
    arrays = []
    for name in (IMAGES, LABELS):
        path = folder / name
        if not path.is_file() or sha256(path) != info.files.get(name):
            raise EwsError(f"{path}: missing or damaged: not the file that {INFO} describes. Make it again: {HOW}.")
        arrays.append(read_npy(path, mapped=name == IMAGES))
    images, labels = arrays
    check_extra(images, labels, size=dataset.image_size, classes=len(dataset.classes), where=str(folder))
    return Extra(images=images, labels=labels, checksum=sha256(folder / INFO))


def check_extra(images: NDArray[Any], labels: NDArray[Any], *, size: int, classes: int, where: str) -> None:
    """Refuse images that a network of the dataset could not be trained on.

    Raises:
        EwsError: another type, shape or size, or a label that is no class.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3) or len(images) == 0:
        raise EwsError(f"{where}: the images are {images.dtype} {images.shape}, not uint8 (N, {size}, {size}, 3).")
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise EwsError(f"{where}: the labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},).")
    if labels.min() < 0 or labels.max() >= classes:
        raise EwsError(f"{where}: labels from {labels.min()} to {labels.max()}; valid: 0 to {classes - 1}.")
