"""Writing sequences to disk in the layout of CIFAR-10-P, in bounded memory, with any number of workers.

``<name>.npy`` is uint8 [N, T, H, W, 3]: image after image, each with its frames. Evaluating a network needs no such
file: ``python -m ews.evaluate perturbation`` makes the frames as it goes.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ews.corruptions.images import open_images
from ews.corruptions.workers import run_all
from ews.files import atomic, sha256, write_json
from ews.perturbations import NAMES, frames, perturb
from ews.perturbations.driver import check_name

# Bytes of frames per piece of work.
PIECE = 2**24


def generate(
    images: Path, out: Path, *, name: str, seed: int, profile: str, crop: int | None = None, workers: int = 1
) -> None:
    """Write the sequences of the images of one ``.npy`` file, with a record beside them that says how.

    Args:
        images: file of uint8 [N, H, W, 3].
        out: file to write, ``.npy``; takes its name when it is whole.
        name: the perturbation.
        seed: names the random streams.
        profile: whose constants.
        crop: as in :func:`ews.perturbations.perturb`.
        workers: processes, 1 or more; changes no byte.

    Raises:
        EwsError: a file cannot be read or written, or an argument is not valid.
    """
    check_name(name, NAMES, profile=profile)
    still = open_images(images)
    # One image tells whether all arguments fit, before hours are spent.
    one = perturb(np.array(still[:1]), name=name, seed=seed, profile=profile, crop=crop)
    count, out = len(still), Path(out)
    step = max(1, PIECE // one.nbytes)
    with atomic(out) as temporary:
        output = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, *one.shape[1:]))
        offset = output.offset
        del output
        settings = {"name": name, "seed": seed, "profile": profile, "crop": crop}
        task = partial(_write_piece, images=images, out=temporary, offset=offset, step=step, settings=settings)
        starts = range(0, count, step)
        for _ in tqdm(run_all(task, starts, workers=workers), total=len(starts), desc=name, disable=None):
            pass
    write_json(
        out.with_suffix(".json"),
        {
            "crop": crop,
            "frames": frames(name, profile),
            "images": count,
            "images_sha256": sha256(images),
            "perturbation": name,
            "profile": profile,
            "seed": seed,
        },
    )


def _write_piece(start: int, *, images: Path, out: Path, offset: int, step: int, settings: dict[str, Any]) -> None:
    """Write the sequences of ``step`` images from the one at ``start`` to their place in the file."""
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    still = np.array(open_images(images)[start : start + step])
    made = perturb(still, indices=np.arange(start, start + len(still)), **settings)
    with out.open("r+b") as file:
        file.seek(offset + start * made[0].nbytes)
        file.write(made.tobytes())
