"""Prepared datasets of made-up arrays, for tests that need no real images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ews.core.documents import write_sealed
from ews.core.files import sha256


def write_dataset(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    *,
    classes: Sequence[str],
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
) -> Path:
    """Write a dataset under the folder's name, and return the folder.

    Args:
        folder: to be made.
        arrays: ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` and ``validation``.
        classes: the names of the labels.
        mean: of each channel, in [0, 1].
        std: likewise.
    """
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    info = {
        **{"name": folder.name, "classes": list(classes), "image_size": arrays["test_images"].shape[1]},
        **{"train": len(arrays["train_labels"]), "test": len(arrays["test_labels"])},
        **{"validation": len(arrays["validation"]), "mean": list(mean), "std": list(std), "source": {}},
        "files": {f"{name}.npy": sha256(folder / f"{name}.npy") for name in arrays},
    }
    write_sealed(folder / "dataset.json", info)
    return folder
