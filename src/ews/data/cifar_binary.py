"""The binary archives of CIFAR-10 and CIFAR-100 (A. Krizhevsky, 2009), read without unpacking them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError
from ews.data.archives import members
from ews.data.raw import Raw

SIDE = 32
PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class Layout:
    """Which files an archive consists of; ``label_bytes`` precede each image, the last one is the label in use."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int


LAYOUTS = (
    Layout(
        train=tuple(f"data_batch_{batch}.bin" for batch in range(1, 6)),
        test=("test_batch.bin",),
        names="batches.meta.txt",
        label_bytes=1,
    ),
    # CIFAR-100 has the coarse label first, then the fine one.
    Layout(train=("train.bin",), test=("test.bin",), names="fine_label_names.txt", label_bytes=2),
)


def read(archive: Path | None) -> Raw:
    """Return the images and labels of an archive; which of the two it is follows from its files' names.

    Each record is 1 (CIFAR-10) or 2 (CIFAR-100) label bytes and 3,072 bytes of pixels: the red
    plane, the green and the blue, row by row.

    Raises:
        EwsError: a file is missing, is there twice or is not a whole number of records, or a label
            is out of range.
    """
    if archive is None:
        raise EwsError("cifar_binary: an archive is needed.")
    wanted = {name for layout in LAYOUTS for name in (*layout.train, *layout.test, layout.names)}
    found: dict[str, bytes] = {}
    for path, content in members(archive):
        name = path.rsplit("/", 1)[-1]
        if name in found:
            raise EwsError(f"{archive}: {name} is there twice.")
        if name in wanted:
            found[name] = content()
    layout = next((each for each in LAYOUTS if each.names in found), None)
    if layout is None:
        raise EwsError(
            f"{archive}: neither {' nor '.join(each.names for each in LAYOUTS)} is in it. Is it the *binary* archive?"
        )
    missing = [name for name in (*layout.train, *layout.test) if name not in found]
    if missing:
        raise EwsError(f"{archive}: {', '.join(missing)} missing.")
    classes = tuple(line.strip() for line in found[layout.names].decode("ascii").splitlines() if line.strip())
    train = [_records(archive, name, found[name], layout, len(classes)) for name in layout.train]
    test = [_records(archive, name, found[name], layout, len(classes)) for name in layout.test]
    if len({len(labels) for _, labels in train}) > 1:
        raise EwsError(f"{archive}: the training batches differ in length: {[len(labels) for _, labels in train]}.")
    return Raw(
        train_images=np.concatenate([images for images, _ in train]),
        train_labels=np.concatenate([labels for _, labels in train]),
        test_images=np.concatenate([images for images, _ in test]),
        test_labels=np.concatenate([labels for _, labels in test]),
        classes=classes,
    )


def _records(
    archive: Path, name: str, content: bytes, layout: Layout, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Take a file of records apart: images uint8 [N, 32, 32, 3] and labels int64 [N]."""
    length = layout.label_bytes + PIXELS
    if not content or len(content) % length:
        raise EwsError(f"{archive}: {name} has {len(content)} bytes, not a whole number of records of {length} bytes.")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, length)
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= classes:
        raise EwsError(f"{archive}: {name} has label {labels.max()}; valid: 0 to {classes - 1}.")
    planes = records[:, layout.label_bytes :].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
