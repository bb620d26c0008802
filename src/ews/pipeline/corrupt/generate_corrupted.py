"""Writing corrupted sets to disk in the published CIFAR-10-C layout, in bounded memory, with any number of workers.

``<name>.npy`` is uint8 [5 * N, H, W, 3]: the whole set at severity 1, then at 2, to 5; ``labels.npy``
is int64 [5 * N], the labels five times over. Each part of the file is a function of the images, the
seed and the settings alone, so that neither the workers' number nor a break changes a byte.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core.arrays import check_output, of_dataset, write_npy
from ews.core.files import sha256
from ews.core.fingerprint import check_fingerprint, fingerprint
from ews.corruptions import NAMES, SEVERITIES, corrupt
from ews.corruptions.corrupt_images import check_name
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.images import pieces
from ews.images.reading import PIECE, open_images
from ews.images.workers import check_workers


def write_corrupted(
    *,
    data: Path,
    name: str,
    seed: int,
    profile: str,
    out: Path,
    workers: int,
    fingerprint: str | None = None,
    managed: bool = False,
) -> None:
    """Corrupt a dataset's test images and write them, with ``<name>.json`` beside them that says how.

    Args:
        data: the dataset's folder.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        out: the file to write, ``.npy``, none of the dataset's.
        workers: processes, 0 or more; 0 and 1 are this process.
        fingerprint: of the code that this was planned with; None where nobody planned it.
        managed: keep what is finished a second time until an evaluation begins, see :mod:`ews.core.finished`.

    Raises:
        EwsError: the dataset is damaged, an argument is not valid, the code is not the planned, another process
            makes the same file, or it cannot be written.
    """
    from ews.data.dataset import load  # the workers do without

    check_name(name, NAMES)
    check_fingerprint(fingerprint, code_of(name), where=str(out))
    dataset = load(data)
    check_output(out, inputs=of_dataset(data))
    corrupt_file(
        Path(data) / "test_images.npy",
        out,
        name=name,
        seed=seed,
        profile=profile,
        workers=workers,
        source=dataset.name,
        managed=managed,
    )


def code_of(name: str) -> str:
    """Return the fingerprint of the code that makes a corruption's set."""
    return fingerprint("ews.pipeline.corrupt.generate_corrupted", [CORRUPTIONS[name].implementation])


def write_labels(*, data: Path, out: Path) -> None:
    """Write the labels that belong to the dataset's corrupted sets, int64 [5 * N].

    Raises:
        EwsError: the dataset is damaged, or ``out`` does not end in ``.npy``, is one of the dataset's files or cannot
            be written.
    """
    from ews.data.dataset import load  # the workers do without

    tiled = np.tile(load(data).test_labels, len(SEVERITIES)).astype(np.int64)
    check_output(out, inputs=of_dataset(data))
    write_npy(out, tiled)


def corrupt_file(
    images: Path,
    out: Path,
    *,
    name: str,
    seed: int,
    profile: str,
    workers: int,
    source: str,
    managed: bool = False,
) -> None:
    """Corrupt the images of one ``.npy`` file, uint8 [N, H, W, 3], at all severities into another.

    A killed start is resumed, and a finished file is not made again: :func:`ews.images.pieces.write`.

    Args:
        images: the file to read.
        out: the file to write, ``.npy``, another than ``images``.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        workers: processes, 0 or more; 0 and 1 are this process.
        source: what the record beside the file calls the images.
        managed: keep what is finished a second time, see :mod:`ews.core.finished`.

    Raises:
        EwsError: a file cannot be read or written, an argument is not valid, or another process makes the same file.
    """
    check_name(name, NAMES)
    check_workers(workers)
    out = Path(out)
    check_output(out, inputs=[images])
    clean = open_images(images)
    # One image tells whether all arguments fit, before hours are spent.
    corrupt(np.array(clean[:1]), name=name, severity=1, seed=seed, profile=profile)
    count, shape = len(clean), clean.shape[1:]
    del clean
    step = max(1, PIECE // int(np.prod(shape)))
    settings = {"name": name, "seed": seed, "profile": profile}
    pieces.write(
        out,
        partial(_piece, images=Path(images), step=step, settings=settings),
        [
            ((severity - 1) * count + start, (severity, start))
            for severity in SEVERITIES
            for start in range(0, count, step)
        ],
        shape=(len(SEVERITIES) * count, *shape),
        about={
            "corruption": name,
            "images": count,
            "images_sha256": sha256(images),
            "profile": profile,
            "seed": seed,
            "severities": list(SEVERITIES),
            "source": source,
        },
        code=code_of(name),
        step=step,
        workers=workers,
        label=name,
        managed=managed,
    )


def _piece(piece: tuple[int, int], *, images: Path, step: int, settings: dict[str, Any]) -> NDArray[np.uint8]:
    """Corrupt one piece, (severity, first image), of ``step`` images."""
    severity, start = piece
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    clean = np.array(open_images(images)[start : start + step])
    return corrupt(clean, severity=severity, indices=np.arange(start, start + len(clean)), **settings)
