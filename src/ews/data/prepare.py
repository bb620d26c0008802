"""From a source to the folder format: fetch, read, split, measure, write."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core.arrays import write_npy
from ews.core.command_line import check_places
from ews.core.documents import write_sealed
from ews.core.errors import EwsError
from ews.core.files import exclusive, sha256, staged
from ews.data.dataset import INFO, DatasetInfo, SourceInfo
from ews.data.download import fetch
from ews.data.raw import Raw
from ews.data.reader_registry import READERS
from ews.data.sources import Source, find
from ews.data.split import check_held_out, stratified


def prepare(
    *,
    dataset: str,
    source: str,
    validation: float,
    manifest: Path | None,
    downloads: Path,
    out: Path,
    mirror: str | None = None,
) -> DatasetInfo:
    """Build a dataset's folder; the same source and arguments give the same bytes.

    Args:
        dataset: its name, recorded in ``dataset.json``.
        source: a source of the manifest.
        validation: the part of the training images set apart by class, 0 to less than 1.
        manifest: path of ``sources.yaml``; None: those that are there, :func:`ews.data.sources.manifests`.
        downloads: where archives are cached.
        out: the folder to write, e.g. ``data/digits``.
        mirror: a folder or a URL that has the archive; see :func:`ews.data.download.fetch`.

    Returns:
        The content of ``dataset.json``, which is written last: a folder without it is unfinished.

    Raises:
        EwsError: an argument, the manifest, the download or the archive is faulty; nothing of the
            new dataset is left that could be taken for whole.
    """
    if not 0 <= validation < 1:
        raise EwsError(f"datasets.{dataset}.validation: {validation} given; valid: 0 to less than 1.")
    entry = find(manifest, source, where=f"datasets.{dataset}.source")
    if entry.folder is not None:
        check_places(out, inputs={f"{manifest}: {source}.folder": [Path(entry.folder).expanduser()]})
    # Beside the folder, not in it: the folder holds data and nothing else.
    with exclusive(out.parent / ".locks" / out.name):
        archive = _archive(entry, downloads, mirror)
        read = READERS.find(entry.kind, where=source).implementation()
        raw = read(archive, **entry.reading)
        raw.check_trainable(source)
        _check_counts(raw, entry, source)
        held_out = _held_out(raw.train_labels, validation, dataset, raw.classes)
        trained = np.setdiff1d(np.arange(len(raw.train_labels)), held_out)
        mean, std = moments(raw.train_images[trained] if len(held_out) else raw.train_images)
        if min(std) == 0:
            raise EwsError(f"{source}: a colour channel is the same in every pixel of every training image.")
        arrays: dict[str, NDArray[Any]] = {
            "train_images": raw.train_images,
            "train_labels": raw.train_labels,
            "test_images": raw.test_images,
            "test_labels": raw.test_labels,
            "validation": held_out,
        }
        about = SourceInfo(
            name=source,
            title=entry.title,
            licence=entry.licence,
            citation=entry.citation,
            sha256=sha256(archive) if archive is not None and archive.is_file() else None,
        )

        def describe(files: dict[str, str]) -> DatasetInfo:
            return DatasetInfo(
                name=dataset,
                classes=tuple(raw.classes),
                image_size=raw.train_images.shape[1],
                train=len(raw.train_labels),
                test=len(raw.test_labels),
                validation=len(held_out),
                mean=tuple(mean),
                std=tuple(std),
                source=about,
                files=files,
            )

        return _write(out, arrays, describe)


def moments(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of uint8 [N, H, W, C], in units of 255.

    Computed from whole numbers, so that the last digit does not depend on the order of summation.
    """
    levels = range(256)
    mean, std = [], []
    for channel in range(images.shape[3]):
        # Image by image: bincount makes int64 copies eight times the size.
        counts = sum(np.bincount(image[:, :, channel].ravel(), minlength=256) for image in images)
        histogram = [int(count) for count in np.asarray(counts)]
        total = sum(histogram)
        first = sum(level * count for level, count in zip(levels, histogram, strict=True))
        second = sum(level * level * count for level, count in zip(levels, histogram, strict=True))
        mean.append(first / total / 255)
        std.append(math.sqrt((total * second - first * first) / (total * total)) / 255)
    return mean, std


def _archive(entry: Source, downloads: Path, mirror: str | None) -> Path | None:
    if entry.folder is not None:
        return Path(entry.folder).expanduser()
    if entry.file is None:
        return None
    return fetch(entry, downloads=downloads, mirror=mirror)


def _check_counts(raw: Raw, entry: Source, source: str) -> None:
    found = {"train": len(raw.train_labels), "test": len(raw.test_labels), "classes": len(raw.classes)}
    for name, count in found.items():
        expected = getattr(entry, name)
        if expected is not None and count != expected:
            raise EwsError(f"{source}: {name}: {count} found, the manifest says {expected}. Correct one of them.")


def _held_out(labels: NDArray[np.int64], fraction: float, dataset: str, classes: Sequence[str]) -> NDArray[np.int64]:
    count = round(fraction * len(labels))
    if fraction > 0 and not 0 < count < len(labels):
        raise EwsError(
            f"datasets.{dataset}.validation: {fraction} of {len(labels)} training images are {count}; "
            "at least one has to be in each part, or set it to 0."
        )
    held_out = stratified(labels, count, key="validation split")
    check_held_out(labels, held_out, classes=classes, where=f"datasets.{dataset}.validation = {fraction}")
    return held_out


def _write(
    out: Path, arrays: dict[str, NDArray[Any]], describe: Callable[[dict[str, str]], DatasetInfo]
) -> DatasetInfo:
    with staged(out, last=INFO) as new:
        info = describe({f"{name}.npy": write_npy(new / f"{name}.npy", array) for name, array in arrays.items()})
        write_sealed(new / INFO, info)
    return info
