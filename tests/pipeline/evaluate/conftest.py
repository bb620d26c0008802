"""A dataset of plain grey images, and a finished run of a network that reads their class off the brightness."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.ruler import GREY, RULER
from helpers.runs import a_cell, finish
from safetensors.torch import save_file

from ews.core.documents import write_sealed
from ews.core.files import sha256
from ews.core.seeds import numpy_stream
from ews.data.dataset import load
from ews.models.architecture_registry import ARCHITECTURES
from ews.pipeline.evaluate.evaluate_command import main

CLASSES = 4
TEST = 40


@pytest.fixture(autouse=True)
def ruler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the network, and undo what choosing a device sets for the process."""
    monkeypatch.setitem(ARCHITECTURES.entries, "ruler", RULER)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")


def grey(classes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Images of which the network says the given classes, uint8 [n, 8, 8, 3]."""
    values = (GREY * np.asarray(classes)).astype(np.uint8)
    return np.broadcast_to(values[:, None, None, None], (len(values), 8, 8, 3)).copy()


def confuse(labels: np.ndarray, wrong: Sequence[int]) -> np.ndarray:
    """Return the labels with those at the positions ``wrong`` replaced by another class."""
    changed = labels.copy()
    changed[wrong] = (changed[wrong] + 1) % CLASSES
    return changed


@pytest.fixture
def labels() -> np.ndarray:
    """Test labels, int64 [40]: ten of each class, mixed."""
    return numpy_stream("labels").permutation(np.arange(TEST) % CLASSES).astype(np.int64)


@pytest.fixture
def wrong() -> list[int]:
    """Which test images the network gets wrong: 7 of 40, an error of 17.5 %."""
    return [1, 2, 3, 5, 8, 13, 21]


@pytest.fixture
def data(tmp_path: Path, labels: np.ndarray, wrong: list[int]) -> Path:
    """The dataset's folder."""
    folder = tmp_path / "data" / "grey"
    folder.mkdir(parents=True)
    arrays = {
        "train_images": grey([0, 1, 2, 3]),
        "train_labels": np.arange(4),
        "test_images": grey(confuse(labels, wrong)),
        "test_labels": labels,
        "validation": np.array([0, 1, 2, 3])[:0],
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    info = {
        "name": "grey",
        "classes": list("abcd"),
        "image_size": 8,
        "train": 4,
        "test": TEST,
        "validation": 0,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "source": {},
        "files": {f"{name}.npy": sha256(folder / f"{name}.npy") for name in arrays},
    }
    write_sealed(folder / "dataset.json", info)
    return folder


@pytest.fixture
def corrupted(data: Path, labels: np.ndarray) -> Path:
    """Corrupted sets: severity s gets 2 s images wrong under ``fog``, s under ``snow``, none under ``frost``."""
    folder = data.with_name("grey-c")
    folder.mkdir()
    for name, step in (("fog", 2), ("snow", 1), ("frost", 0)):
        blocks = [grey(confuse(labels, range(step * severity))) for severity in range(1, 6)]
        np.save(folder / f"{name}.npy", np.concatenate(blocks))
        write_sealed(folder / f"{name}.json", {"sha256": sha256(folder / f"{name}.npy"), "source": "a test"})
    np.save(folder / "labels.npy", np.tile(labels, 5))
    return folder


def finished(run: Path, data: Path, *, shifts: dict[str, float]) -> None:
    """Write a finished run: a weights file per name, and its record."""
    run.mkdir(parents=True, exist_ok=True)
    for name, shift in shifts.items():
        save_file({"shift": torch.tensor([shift])}, run / name)
    architecture = {"name": "ruler", "parameters": {"network": "ruler"}, "dynamic": None}
    finish(run, a_cell(architecture=architecture), files=shifts, data=load(data).checksum)


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    """The run's folder; weights of the last epoch only."""
    folder = tmp_path / "run"
    finished(folder, data, shifts={"model.safetensors": 0.0})
    return folder


@pytest.fixture
def write_run() -> Callable[..., None]:
    """The function that writes a run with other weights."""
    return finished


Evaluate = Callable[..., tuple[Any, dict[str, np.ndarray]]]


@pytest.fixture
def clean(run: Path, data: Path) -> Evaluate:
    """Run the command ``clean``; returns the content of clean.json and the arrays."""

    def call(*more: str) -> tuple[Any, dict[str, np.ndarray]]:
        main(["clean", "--run", str(run), "--data", str(data), "--out", str(run), *more])
        content = json.loads((run / "clean.json").read_text())
        return content, dict(np.load(run / "clean.npz", allow_pickle=False))

    return call


@pytest.fixture
def corruption(run: Path, data: Path, corrupted: Path) -> Evaluate:
    """Run the command ``corruption``; returns the content of corruption.json and the arrays."""

    def call(*names: str, more: Sequence[str] = ()) -> tuple[Any, dict[str, np.ndarray]]:
        places = ["--run", str(run), "--data", str(data), "--corrupted", str(corrupted)]
        main(["corruption", *places, "--out", str(run), "--names", *names, *more])
        content = json.loads((run / "corruption.json").read_text())
        return content, dict(np.load(run / "corruption.npz", allow_pickle=False))

    return call
