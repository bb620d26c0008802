"""Writing sequences to disk in the layout of CIFAR-10-P, in bounded memory, with any number of workers.

``<name>.npy`` is uint8 [N, T, H, W, 3]: image after image, each with its frames. Evaluating a network needs no such
file: ``ews evaluate perturbation`` makes the frames as it goes.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core.arrays import check_output
from ews.core.files import sha256
from ews.core.fingerprint import fingerprint
from ews.images import pieces
from ews.images.reading import open_images
from ews.images.workers import check_workers
from ews.perturbations import NAMES, frames, perturb
from ews.perturbations.perturb_images import check_name

# Bytes of frames per piece of work.
PIECE = 2**24


def generate(
    images: Path, out: Path, *, name: str, seed: int, profile: str, crop: int | None = None, workers: int = 1
) -> None:
    """Write the sequences of the images of one ``.npy`` file, with a record beside them that says how.

    A killed start is resumed, and a finished file is not made again: :func:`ews.images.pieces.write`.

    Args:
        images: file of uint8 [N, H, W, 3].
        out: file to write, ``.npy``, another than ``images``; takes its name when it is whole.
        name: the perturbation.
        seed: names the random streams.
        profile: whose constants.
        crop: as in :func:`ews.perturbations.perturb`.
        workers: processes, 0 or more; changes no byte.

    Raises:
        EwsError: a file cannot be read or written, an argument is not valid, or another process makes the same file.
    """
    check_name(name, NAMES, profile=profile)
    check_workers(workers)
    out = Path(out)
    check_output(out, inputs=[images])
    still = open_images(images)
    # One image tells whether all arguments fit, before hours are spent.
    one = perturb(np.array(still[:1]), name=name, seed=seed, profile=profile, crop=crop)
    count = len(still)
    del still
    step = max(1, PIECE // one.nbytes)
    settings = {"name": name, "seed": seed, "profile": profile, "crop": crop}
    pieces.write(
        out,
        partial(_piece, images=Path(images), step=step, settings=settings),
        [(start, start) for start in range(0, count, step)],
        shape=(count, *one.shape[1:]),
        about={
            "crop": crop,
            "frames": frames(name, profile),
            "images": count,
            "images_sha256": sha256(images),
            "perturbation": name,
            "profile": profile,
            "seed": seed,
        },
        code=code(),
        step=step,
        workers=workers,
        label=name,
    )


def code() -> str:
    """Return the fingerprint of the code that makes sequences."""
    return fingerprint("ews.pipeline.perturb.generate_perturbed")


def _piece(start: int, *, images: Path, step: int, settings: dict[str, Any]) -> NDArray[np.uint8]:
    """Return the sequences of ``step`` images from the one at ``start``."""
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    still = np.array(open_images(images)[start : start + step])
    return perturb(still, indices=np.arange(start, start + len(still)), **settings)
