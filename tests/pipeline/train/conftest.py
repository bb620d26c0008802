"""A tiny dataset in the project's folder format, cells for it, and parameters of every method."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ews.core.files import sha256
from ews.data.dataset import Dataset, load
from ews.pipeline.train import uses
from ews.pipeline.train.loop import fit

CLASSES, SIZE = 3, 12
EWS = {
    "name": "ews",
    "weight": 1.0,
    "width": 0.7,
    "rounding": "expected",
    "interval": 2,
    "samples": 2,
    "search": "learned",
    "distillation": "kl",
    "reduction": "batchmean",
    "batch_fraction": 1.0,
    "hidden": 8,
    "learning_rate": 0.01,
    "betas": [0.5, 0.999],
    "entropy_bonus": 0.005,
    "baseline_decay": 0.9,
    "gradient_clip": 3.0,
}
# Every registered component stands here; test_training.py holds the two lists together.
ATTACK = {
    "epsilon": 8 / 255,
    "step_size": 4 / 255,
    "steps": 3,
    "attack_mode": "train",
    "validation_steps": 2,
    "validation_step_size": 4 / 255,
    "validation_images": None,
}
ARCHITECTURE = {"name": "tiny", "network": "cifar_resnet", "depth": 8, "width": 4}
ROUTER = {"name": "awnet", "extractor": [4, 6]}
# What the fixture `teachers` trains.
# Wider than its students, so that what MixACM compares goes through maps that are trained.
WIDER = {**ARCHITECTURE, "name": "wider", "width": 6}
TEACHER = {"run": "blobs/wider/standard/vanilla/seed7", "weights": "last", "architecture": WIDER}
COMPONENTS: dict[str, dict[str, Any]] = {
    "dropout": {"name": "dropout", "rate": 0.3, "place": "hidden"},
    "at": {"name": "at", **ATTACK},
    "trades": {"name": "trades", **ATTACK, "attack_mode": "eval", "beta": 6.0},
    "mixacm": {
        "name": "mixacm",
        "teachers": {"robust": TEACHER},
        "mixup": 1.0,
        "soft_weight": 0.5,
        "temperature": 4.0,
        "acm_weight": 10.0,
        "stages": [-3, -2, -1],
        "validation_epsilon": 8 / 255,
        "validation_steps": 2,
        "validation_step_size": 4 / 255,
        "validation_images": None,
    },
    "awnet": {
        "name": "awnet",
        **ATTACK,
        "attack_mode": "eval",
        "weight_rate": 0.1,
        "type_weight": 1.0,
        "teachers": {"clean": TEACHER, "robust": TEACHER},
    },
    "awp": {"name": "awp", "gamma": 0.01, "warmup_epochs": 1},
    "damp": {"name": "damp", "sigma": 0.2, "sub_batches": 3, "gradient": "perturbed", "form": "auto"},
    "sam": {"name": "sam", "rho": 0.05, "sub_batches": 1},
    "asam": {"name": "asam", "rho": 0.5, "sub_batches": 2},
    "rst": {"name": "rst", "share": 0.5},
    "ews": EWS,
}
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "standard": {"name": "standard", "padding": 2, "flip": True},
    "autoaugment": {"name": "autoaugment", "padding": 2, "flip": True, "policy": "cifar10"},
    "augmix": {
        "name": "augmix",
        "padding": 2,
        "flip": True,
        "width": 3,
        "depth_min": 1,
        "depth_max": 3,
        "severity": 3.0,
        "alpha": 1.0,
        "jsd_weight": 12.0,
    },
}
RECIPE: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 8,
    "train_images": None,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "step",
    "milestones": [0.5],
    "gamma": 0.1,
    "warmup_epochs": 0,
    "gradient_clip": 3.0,
    "label_smoothing": 0.0,
    "precision": "auto",
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train with one thread, as the runs that are compared do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def components() -> dict[str, dict[str, Any]]:
    return COMPONENTS


@pytest.fixture(scope="session")
def make_cell() -> Callable[..., dict[str, Any]]:
    """Return a function of (method, augmentation, seed, method parameters, recipe overrides) to a cell."""

    def make(
        method: str = "vanilla",
        augmentation: str = "standard",
        *,
        seed: int = 0,
        parameters: dict[str, Any] | None = None,
        **recipe: Any,
    ) -> dict[str, Any]:
        names = [] if method == "vanilla" else method.split("+")
        return copy.deepcopy(
            {
                "dataset": "blobs",
                "architecture": {**ARCHITECTURE, **({"dynamic": ROUTER} if "awnet" in names else {})},
                "augmentation": AUGMENTATIONS[augmentation],
                "method": {
                    "name": method,
                    "components": [{**COMPONENTS[name], **(parameters or {})} for name in names],
                },
                "recipe": {**RECIPE, **recipe},
                "seed": seed,
            }
        )

    return make


def write_dataset(folder: Path, *, train: int, validation: int) -> Path:
    """Write random images whose mean colour tells the class."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}
    for split, count in (("train", train), ("test", 6)):
        labels = np.arange(count, dtype=np.int64) % CLASSES
        noise = generator.integers(0, 120, (count, SIZE, SIZE, 3))
        arrays[f"{split}_images"] = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"{split}_labels"] = labels
    arrays["validation"] = np.arange(validation, dtype=np.int64)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    info = {
        "name": "blobs",
        "classes": [f"class{i}" for i in range(CLASSES)],
        "image_size": SIZE,
        "train": train,
        "test": 6,
        "validation": validation,
        "mean": [0.45] * 3,
        "std": [0.25] * 3,
        "source": {},
        "files": {f"{name}.npy": sha256(folder / f"{name}.npy") for name in arrays},
    }
    (folder / "dataset.json").write_text(json.dumps(info))
    write_extra(folder)
    return folder


def write_extra(dataset: Path, *, count: int = 7) -> None:
    """Write extra images of the same kind beside a dataset: fewer than an epoch shows."""
    folder = dataset.with_name(f"{dataset.name}-extra")
    folder.mkdir()
    labels = np.arange(count, dtype=np.int64) % CLASSES
    noise = np.random.default_rng(1).integers(0, 120, (count, SIZE, SIZE, 3))
    np.save(folder / "images.npy", (noise + 60 * labels[:, None, None, None]).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    sums = {name: sha256(folder / name) for name in ("images.npy", "labels.npy")}
    (folder / "extra.json").write_text(json.dumps({"images": count, "files": sums}))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 training images less 6 for validation: batches of 8, 8, 8."""
    return write_dataset(tmp_path_factory.mktemp("data") / "blobs", train=30, validation=6)


@pytest.fixture(scope="session")
def dataset(data: Path) -> Dataset:
    return load(data)


@pytest.fixture(scope="session")
def dataset_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Dataset]:
    """Return a function of (training images, validation images among them) to a dataset."""
    return lambda train, validation: load(
        write_dataset(tmp_path_factory.mktemp("data") / "blobs", train=train, validation=validation)
    )


Teachers = Callable[[dict[str, Any]], dict[str, Path]]


@pytest.fixture(scope="session")
def teachers(
    make_cell: Callable[..., dict[str, Any]], dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Teachers:
    """Return a function of a cell to the runs that it learns from, by role: one run, trained when first asked for."""
    out = tmp_path_factory.mktemp("teacher") / "run"

    def of(cell: dict[str, Any]) -> dict[str, Path]:
        wanted = uses.teachers(cell)
        if wanted and not (out / "record.json").exists():
            taught = make_cell(seed=7, epochs=1) | {"architecture": WIDER}
            fit(cell=taught, dataset=dataset, out=out, code="0" * 16, device=torch.device("cpu"), threads=1, workers=0)
        return dict.fromkeys(wanted, out)

    return of


@pytest.fixture
def train(dataset: Dataset, teachers: Teachers) -> Callable[..., Path]:
    """Return a function that trains a cell in this process on one CPU thread."""

    def run(
        cell: dict[str, Any], out: Path, *, dataset: Dataset = dataset, code: str = "0" * 16, workers: int = 0
    ) -> Path:
        options: dict[str, Any] = {"code": code, "device": torch.device("cpu"), "threads": 1, "workers": workers}
        fit(cell=cell, dataset=dataset, out=out, teachers=teachers(cell), **options)
        return out

    return run


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, Any]]:
    """Return a function from a run folder to everything in it that a resumed training must reproduce."""

    def read(out: Path) -> dict[str, Any]:
        names = sorted(path.name for path in out.iterdir() if path.name not in (".lock", "timing.csv", "record.json"))
        found: dict[str, Any] = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
        record = json.loads((out / "record.json").read_text())
        for cost in ("wall_clock_seconds", "epoch_seconds", "peak_memory_bytes"):
            del record[cost]
        del record["counts"]["starts"], record["files"]["timing.csv"]
        return found | {"record": record}

    return read
