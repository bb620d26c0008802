"""Writing corrupted sets to disk in the published CIFAR-10-C layout, in bounded memory, with any number of workers.

``<name>.npy`` is uint8 [5 * N, H, W, 3]: the whole set at severity 1, then at 2, to 5; ``labels.npy``
is int64 [5 * N], the labels five times over. Each part of the file is a function of the images, the
seed and the settings alone, so the workers' number changes no byte.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ews.corruptions import NAMES, SEVERITIES, corrupt
from ews.corruptions.driver import check_name
from ews.errors import EwsError
from ews.files import atomic, sha256, write_json

# Bytes of images per piece of work.
PIECE = 2**22

Item = TypeVar("Item")


def generate(*, data: Path, name: str, seed: int, profile: str, out: Path, workers: int) -> None:
    """Corrupt a dataset's test images and write them, with ``<name>.json`` beside them that says how.

    Args:
        data: the dataset's folder.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        out: the file to write, ``.npy``.
        workers: processes, 1 or more.

    Raises:
        EwsError: the dataset is damaged, an argument is not valid, or the file cannot be written.
    """
    from ews.data.dataset import load  # brings torch, half a gigabyte that the workers do without

    dataset = load(data)
    corrupt_file(
        Path(data) / "test_images.npy",
        out,
        name=name,
        seed=seed,
        profile=profile,
        workers=workers,
        source=dataset.name,
    )


def labels(*, data: Path, out: Path) -> None:
    """Write the labels that belong to the dataset's corrupted sets, int64 [5 * N].

    Raises:
        EwsError: the dataset is damaged.
    """
    from ews.data.dataset import load  # as above

    tiled = np.tile(load(data).test_labels, len(SEVERITIES)).astype(np.int64)
    with atomic(out) as temporary:
        np.save(temporary, tiled)


def corrupt_file(images: Path, out: Path, *, name: str, seed: int, profile: str, workers: int, source: str) -> None:
    """Corrupt the images of one ``.npy`` file, uint8 [N, H, W, 3], at all severities into another.

    Args:
        images: the file to read.
        out: the file to write.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        workers: processes, 1 or more.
        source: what the record beside the file calls the images.

    Raises:
        EwsError: a file cannot be read or written, or an argument is not valid.
    """
    check_name(name, NAMES)
    clean = open_images(images)
    # One image tells whether all arguments fit, before hours are spent.
    corrupt(np.array(clean[:1]), name=name, severity=1, seed=seed, profile=profile)
    count = len(clean)
    shape = clean.shape[1:]
    step = max(1, PIECE // int(np.prod(shape)))
    pieces = [(severity, start) for severity in SEVERITIES for start in range(0, count, step)]
    out = Path(out)
    with atomic(out) as temporary:
        output = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(5 * count, *shape))
        offset = output.offset
        del output
        task = partial(
            _write_piece,
            images=Path(images),
            out=temporary,
            offset=offset,
            step=step,
            settings={"name": name, "seed": seed, "profile": profile},
        )
        for _ in tqdm(run_all(task, pieces, workers=workers), total=len(pieces), desc=name, disable=None):
            pass
    write_json(
        out.with_suffix(".json"),
        {
            "corruption": name,
            "images": count,
            "images_sha256": sha256(images),
            "profile": profile,
            "seed": seed,
            "severities": list(SEVERITIES),
            "source": source,
        },
    )


def open_images(path: Path) -> NDArray[np.uint8]:
    """Map a ``.npy`` file of images into memory, uint8 [N, H, W, 3] with N at least 1.

    Raises:
        EwsError: it cannot be read or holds something else.
    """
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EwsError(f"{path}: not a readable .npy file of images ({error}).") from None
    valid = isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3
    if not valid or not len(images):
        kind = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise EwsError(f"{path}: {kind}; valid is uint8 [N, H, W, 3] with N at least 1.")
    return images


def _write_piece(
    piece: tuple[int, int], *, images: Path, out: Path, offset: int, step: int, settings: dict[str, Any]
) -> None:
    """Corrupt one piece, (severity, first image), and write it to its place in the file."""
    severity, start = piece
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    mapped = open_images(images)
    count = len(mapped)
    clean = np.array(mapped[start : start + step])
    del mapped
    corrupted = corrupt(clean, severity=severity, indices=np.arange(start, start + len(clean)), **settings)
    with out.open("r+b") as file:
        file.seek(offset + ((severity - 1) * count + start) * corrupted[0].nbytes)
        file.write(corrupted.tobytes())


def run_all(task: Callable[[Item], None], items: Iterable[Item], *, workers: int) -> Iterator[None]:
    """Run a task for every item, here or in ``workers`` processes; yield after each.

    Raises:
        EwsError: ``workers`` is less than 1.
    """
    if workers < 1:
        raise EwsError(f"{workers} workers: valid is 1 or more.")
    if workers == 1:
        for item in items:
            task(item)
            yield
        return
    # Fresh processes: a fork would copy the threads' locks of OpenCV and BLAS in whatever state they are.
    with _pool(workers) as pool:
        yield from pool.map(task, items)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose pending work is dropped when the block ends early."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_thread)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _single_thread() -> None:
    """Keep OpenCV to one thread: the workers share the cores already."""
    cv2.setNumThreads(1)
