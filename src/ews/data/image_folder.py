"""Image folders, packed or not: ``train/<class>/<image>`` and ``test/<class>/<image>``, or ``val`` for ``test``."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from ews.core.errors import EwsError
from ews.data.archives import members
from ews.data.raw import Raw
from ews.images.picture_faults import BadPictures, Fault
from ews.images.picture_folder import list_pictures, skipped_words
from ews.images.pictures import BadPicture, decode, is_picture, read_content

TRAIN, TESTS = "train", ("test", "val")
LAYOUT = "Valid: train/<class>/<image>, and test/<class>/<image> or val/<class>/<image>, at the top, no other folders."
BESIDE = "beside the splits"
_NAMED = 5


@dataclass(frozen=True)
class _Content:
    """What an archive or a folder holds.

    Attributes:
        names: of the pictures, relative.
        skipped: numbers of other files, by ending or kind.
        empty: folders without pictures, as far as it is known: archives need not list folders.
    """

    names: tuple[str, ...]
    skipped: Mapping[str, int]
    empty: tuple[PurePosixPath, ...] = ()


def read(
    archive: Path | None,
    *,
    image_size: int | None = None,
    test_split: str | None = None,
    allow_empty_classes: bool = False,
) -> Raw:
    """Return the images of both splits, by class and file name in order, so that packing order does not matter.

    Which files are pictures, and how they are turned, says :mod:`ews.images.pictures`. What is passed over - hidden
    files, other endings, what lies beside the splits - is counted on standard error.

    Args:
        archive: a tar, a zip or a folder, in which links are followed.
        image_size: if given, each image is scaled (bilinear, anti-aliased) and cropped about its centre to
            a square of this many pixels a side; if not, all have to be equal in size already.
        test_split: ``"test"`` or ``"val"``: which folder has the test images; None: the only one that is there.
        allow_empty_classes: leave out classes whose folders have no pictures.

    Raises:
        BadPictures: images cannot be decoded, are not of 8 bits, or cannot be reached; all of them.
        EwsError: the layout is another, the splits have different classes, a class is empty, or an image differs in
            size; the message names it.
    """
    if archive is None:
        raise EwsError("image_folder: an archive or a folder is needed.")
    # Two passes, so that each image goes straight to its place and the images are in memory only once.
    content = _content(archive)
    names = _names(archive, content.names, test_split)
    splits = tuple(names)
    _check_empty(archive, content.empty, splits, allowed=allow_empty_classes)
    classes = _classes(archive, names)
    passed = Counter(content.skipped)
    passed.update({BESIDE: len(content.names) - sum(map(len, names.values()))})
    if words := skipped_words(+passed):
        print(f"{archive}: files passed over: {words}.", file=sys.stderr, flush=True)
    places = {name: (split, row) for split in splits for row, name in enumerate(names[split])}
    images: dict[str, NDArray[np.uint8]] = {}
    shape: tuple[int, ...] | None = None
    faults = []
    # disable=None: a bar in a terminal, nothing in a log.
    with tqdm(total=len(places), desc=f"decode {archive.name}", unit="image", disable=None) as bar:
        for name, read_file in _files(archive, names):
            if name not in places:
                continue
            bar.update()
            try:
                pixels = _decoded(read_file(), image_size)
            except BadPicture as bad:
                faults.append(Fault(name, str(bad)))
                continue
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
    if faults:
        raise BadPictures(str(archive), sorted(faults, key=lambda fault: fault.path), "Mend or remove them.")
    position = {name: number for number, name in enumerate(classes)}
    train, test = splits
    labels = {
        split: np.array([position[name.split("/")[1]] for name in names[split]], dtype=np.int64) for split in splits
    }
    return Raw(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        classes=classes,
    )


def _content(archive: Path) -> _Content:
    if archive.is_dir():
        listing = list_pictures(archive)
        if faults := [*listing.blocked, *listing.faults]:
            raise BadPictures(str(archive), faults, "Mend or remove them.")
        return _Content(tuple(map(str, listing.pictures)), listing.skipped, listing.empty)
    names, skipped = [], Counter[str]()
    for name, _ in members(archive):
        if is_picture(name):
            names.append(name)
        else:
            skipped[PurePosixPath(name).suffix.lower()] += 1
    return _Content(tuple(names), skipped)


def _files(archive: Path, names: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the pictures with functions that read them."""
    if archive.is_dir():
        for split in names.values():
            for name in split:
                yield name, partial(read_content, archive / name)
    else:
        yield from members(archive)


def _names(archive: Path, found: Iterable[str], test_split: str | None) -> dict[str, list[str]]:
    """Return the pictures of the training and the test split, sorted by class and file name."""
    names: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for name in found:
        parts = name.split("/")
        if len(parts) == 1:
            continue
        if parts[0] not in (TRAIN, *TESTS) or len(parts) != 3:
            raise EwsError(f"{archive}: {name} is out of place. {LAYOUT}")
        if name in seen:
            raise EwsError(f"{archive}: {name} is there twice.")
        seen.add(name)
        names[parts[0]].append(name)
    there = [split for split in TESTS if split in names]
    if test_split is None and len(there) > 1:
        raise EwsError(
            f"{archive}: has both test/ and val/. Set test_split for this source in the manifest to the one that has "
            "the test images; the other is passed over."
        )
    test = test_split or (there[0] if there else TESTS[0])
    for split in (TRAIN, test):
        if not names[split]:
            other = f", nor under {TESTS[1]}/" if split == test and test_split is None else ""
            raise EwsError(f"{archive}: no images under {split}/{other}. {LAYOUT}")
    return {split: sorted(names[split], key=lambda name: name.split("/")) for split in (TRAIN, test)}


def _check_empty(archive: Path, empty: Iterable[PurePosixPath], splits: tuple[str, ...], *, allowed: bool) -> None:
    """Refuse class folders without pictures, unless they are to be left out."""
    classes = [str(path) for path in empty if len(path.parts) == 2 and path.parts[0] in splits]
    if classes and not allowed:
        some = ", ".join(classes[:_NAMED]) + ", ..." * (len(classes) > _NAMED)
        raise EwsError(
            f"{archive}: class folders without pictures ({len(classes):,}): {some}. Fill or remove them, or set "
            "allow_empty_classes for this source in the manifest to leave these classes out."
        )


def _classes(archive: Path, names: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    (train, first), (test, second) = ((split, {name.split("/")[1] for name in names[split]}) for split in names)
    if first != second:
        raise EwsError(
            f"{archive}: the classes of {train}/ and {test}/ differ: only in {train}: "
            f"{', '.join(sorted(first - second)) or '-'}; only in {test}: {', '.join(sorted(second - first)) or '-'}."
        )
    return tuple(sorted(first))


def _decoded(content: bytes, image_size: int | None) -> NDArray[np.uint8]:
    """Return one image as uint8 [H, W, 3]."""
    pixels = decode(content)
    if image_size is None:
        return pixels
    fitted = ImageOps.fit(Image.fromarray(pixels), (image_size, image_size), method=Image.Resampling.BILINEAR)
    return np.asarray(fitted)
