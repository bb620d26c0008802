"""Image folders, packed or not: ``train/<class>/<image>`` and ``test/<class>/<image>``."""

import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from ews.core.errors import EwsError
from ews.data.archives import members
from ews.data.raw import Raw

SPLITS = ("train", "test")
# Decoders of plain pixels only: Pillow would hand other formats, EPS for one, to outside programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
LAYOUT = "Valid: train/<class>/<image> and test/<class>/<image> at the top of the archive, no other folders."


def read(archive: Path | None, *, image_size: int | None = None) -> Raw:
    """Return the images of both splits, by class and file name in order, so that packing order does not matter.

    Args:
        archive: a tar, a zip or a folder. Files beside ``train`` and ``test`` (a README, a licence) are ignored.
        image_size: if given, each image is scaled (bilinear, anti-aliased) and cropped about its centre to
            a square of this many pixels a side; if not, all have to be equal in size already.

    Raises:
        EwsError: the layout is another, the splits have different classes, or an image cannot be
            decoded, is not of 8 bits, or differs in size; the message names it.
    """
    if archive is None:
        raise EwsError("image_folder: an archive or a folder is needed.")
    # Two passes, so that each image goes straight to its place and the images are in memory only once.
    names = _names(archive)
    classes = _classes(archive, names)
    places = {name: (split, row) for split in SPLITS for row, name in enumerate(names[split])}
    images: dict[str, NDArray[np.uint8]] = {}
    shape: tuple[int, ...] | None = None
    # disable=None: a bar in a terminal, nothing in a log.
    with tqdm(total=len(places), desc=f"decode {archive.name}", unit="image", disable=None) as bar:
        for name, content in members(archive):
            if name not in places:
                continue
            pixels = _decode(archive, name, content, image_size)
            shape = shape or pixels.shape
            if pixels.shape != shape:
                raise EwsError(
                    f"{archive}: {name} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the images before it are "
                    f"{shape[1]}x{shape[0]}. Set image_size for this source in the manifest to scale and crop them."
                )
            split, row = places[name]
            if split not in images:
                images[split] = np.empty((len(names[split]), *shape), dtype=np.uint8)
            images[split][row] = pixels
            bar.update()
    position = {name: number for number, name in enumerate(classes)}
    labels = {
        split: np.array([position[name.split("/")[1]] for name in names[split]], dtype=np.int64) for split in SPLITS
    }
    return Raw(
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        classes=classes,
    )


def _names(archive: Path) -> dict[str, list[str]]:
    """Return the members of each split, sorted by class and file name."""
    names: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for name, _ in members(archive):
        parts = name.split("/")
        if len(parts) == 1:
            continue
        if parts[0] not in SPLITS or len(parts) != 3:
            raise EwsError(f"{archive}: {name} is out of place. {LAYOUT}")
        if name in seen:
            raise EwsError(f"{archive}: {name} is there twice.")
        seen.add(name)
        names[parts[0]].append(name)
    for split in SPLITS:
        if not names[split]:
            raise EwsError(f"{archive}: no images under {split}/. {LAYOUT}")
        names[split].sort(key=lambda name: name.split("/"))
    return names


def _classes(archive: Path, names: dict[str, list[str]]) -> tuple[str, ...]:
    train, test = ({name.split("/")[1] for name in names[split]} for split in SPLITS)
    if train != test:
        raise EwsError(
            f"{archive}: the classes of train/ and test/ differ: only in train: "
            f"{', '.join(sorted(train - test)) or '-'}; only in test: {', '.join(sorted(test - train)) or '-'}."
        )
    return tuple(sorted(train))


def _decode(archive: Path, name: str, content: Callable[[], bytes], image_size: int | None) -> NDArray[np.uint8]:
    """Return one image as uint8 [H, W, 3]."""
    data = content()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            if image.mode == "F" or image.mode.startswith("I"):
                raise EwsError(f"{archive}: {name} has more than 8 bits per channel. Convert it to 8 bits first.")
            rgb = image.convert("RGB")
    except EwsError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
        raise EwsError(
            f"{archive}: {name} cannot be decoded ({error}). Valid: {', '.join(FORMATS)}. Mend or remove it."
        ) from None
    if image_size is not None:
        rgb = ImageOps.fit(rgb, (image_size, image_size), method=Image.Resampling.BILINEAR)
    return np.asarray(rgb)
