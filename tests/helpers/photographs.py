"""Photographs in three sizes, the plain reference, and a prepared dataset, for the tests of the corruptions."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from ews.core.documents import write_sealed
from ews.core.files import sha256


def _photographs(side: int) -> np.ndarray:
    """Return uint8 [4, side, side, 3]: two halves of each of scikit-learn's two photographs."""
    pictures = []
    for photograph in load_sample_images().images:
        for left in (0, 213):
            half = Image.fromarray(photograph[:, left : left + 427])
            pictures.append(np.array(half.resize((side, side), Image.Resampling.LANCZOS)))
    return np.stack(pictures)


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """Return four photographs for each profile, at its size."""
    return {"cifar": _photographs(32), "tiny": _photographs(64), "imagenet": _photographs(224)}


@pytest.fixture(scope="session")
def reference():
    """Return the module ``reference.py`` of the corruptions' tests."""
    name = "corruptions_reference"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "corruptions" / "reference.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small prepared dataset: 60 test images of 32 x 32."""
    folder = tmp_path_factory.mktemp("data") / "small"
    folder.mkdir()
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    np.save(folder / "test_images.npy", images)
    np.save(folder / "test_labels.npy", np.arange(60, dtype=np.int64) % 3)
    np.save(folder / "train_images.npy", images[:9])
    np.save(folder / "train_labels.npy", np.arange(9, dtype=np.int64) % 3)
    np.save(folder / "validation.npy", np.zeros(0, np.int64))
    files = {path.name: sha256(path) for path in sorted(folder.glob("*.npy"))}
    write_sealed(
        folder / "dataset.json",
        {
            "name": "small",
            "classes": ["a", "b", "c"],
            "image_size": 32,
            "train": 9,
            "test": 60,
            "validation": 0,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.2, 0.2, 0.2],
            "source": {},
            "files": files,
        },
    )
    return folder
