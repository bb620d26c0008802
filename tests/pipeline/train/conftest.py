"""A tiny dataset in the project's folder format, and small cells for it of any method."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import Crop
from ews.core.files import sha256
from ews.data.dataset import Dataset, load
from ews.methods.method_registry import METHODS
from ews.models.cifar_resnet.cifar_resnet_spec import CifarResNetParameters
from ews.pipeline.study.cell import (
    ArchitectureCell,
    AugmentationCell,
    Cell,
    ComponentCell,
    DynamicCell,
    MethodCell,
    TeacherRun,
)
from ews.pipeline.study.recipe_spec import Recipe
from ews.pipeline.train.loop import fit

MakeCell = Callable[..., Cell]
CLASSES, SIZE = 3, 12
ATTACK = {"step_size": 4 / 255, "steps": 3, "validation_steps": 2, "validation_step_size": 4 / 255}
# What makes a component small or visible in a few steps; of any other one the parameters are its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "at": ATTACK,
    "trades": ATTACK,
    "mixacm": {"acm_weight": 10.0, "validation_steps": 2, "validation_step_size": 4 / 255},
    "awnet": {**ATTACK, "weight_rate": 0.1},
    "awp": {"warmup_epochs": 1},
    "damp": {"sub_batches": 3},
    "sam": {"rho": 0.05, "sub_batches": 2, "statistics": "part"},
    "asam": {"rho": 0.5, "sub_batches": 2},
    "ews": {
        "rounding": "expected",
        "interval": 2,
        "samples": 2,
        "hidden": 8,
        "learning_rate": 0.01,
        "baseline_decay": 0.9,
    },
}
ROUTERS: dict[str, dict[str, Any]] = {"awnet": {"extractor": (4, 6)}}
ARCHITECTURE = ArchitectureCell(name="tiny", parameters=CifarResNetParameters(depth=8, width=4))
# What the fixture `teachers` trains: wider than its students, so that what MixACM compares goes through maps that are
# trained.
WIDER = ArchitectureCell(name="wider", parameters=CifarResNetParameters(depth=8, width=6))
TEACHER = TeacherRun(
    run="blobs/wider/standard/vanilla/seed7",
    weights="last",
    architecture=WIDER,
    augmentation="standard",
    method="vanilla",
    seed=7,
)
CROP = Crop(padding=2, flip=True)
RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    train_images=None,
    learning_rate=0.05,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="step",
    milestones=(0.5,),
    gamma=0.1,
    warmup_epochs=0,
    gradient_clip=3.0,
    label_smoothing=0.0,
    precision="auto",
)


def small(name: str, method: str, changed: Mapping[str, Any]) -> ComponentCell:
    """Return a component with small parameters, some of them changed."""
    spec = METHODS[name]
    defaults: Mapping[str, Any] = {}
    if spec.by_objective:
        beside = [part for part in method.split("+") if part in spec.by_objective] or list(spec.by_objective)
        defaults = dict(spec.by_objective[beside[0]])
    return ComponentCell(name=name, parameters=spec.parameters(**{**defaults, **SMALL.get(name, {}), **changed}))


def dynamic(method: str) -> DynamicCell | None:
    """Return what a method makes of its network, small; mostly nothing."""
    for name in method.split("+"):
        network = METHODS[name].network if name in METHODS else None
        if network is not None:
            return DynamicCell(name=name, parameters=network(**ROUTERS.get(name, {})))
    return None


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train with one thread, as the runs that are compared do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_cell() -> MakeCell:
    """Return a function of (method, augmentation, seed, changed parameters by component, crop, recipe) to a cell."""

    def make(
        method: str = "vanilla",
        augmentation: str = "standard",
        *,
        seed: int = 0,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        crop: Crop = CROP,
        weights: Literal["last", "best"] = "last",
        **recipe: Any,
    ) -> Cell:
        names = [] if method == "vanilla" else method.split("+")
        taught = {role.role for name in names for role in METHODS[name].teachers}
        return Cell(
            dataset="blobs",
            architecture=ARCHITECTURE.model_copy(update={"dynamic": dynamic(method)}),
            augmentation=AugmentationCell(
                name=augmentation, crop=crop, parameters=AUGMENTATIONS[augmentation].parameters()
            ),
            method=MethodCell(
                name=method,
                components=tuple(small(name, method, (parameters or {}).get(name, {})) for name in names),
            ),
            teachers=dict.fromkeys(sorted(taught), TEACHER.model_copy(update={"weights": weights})),
            recipe=Recipe.model_validate({**dict(RECIPE), **recipe}),
            seed=seed,
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
    about = {
        "dataset": dataset.name,
        "images": count,
        "source": {"file": "blobs.npz", "sha256": "0" * 64},
        "files": sums,
    }
    (folder / "extra.json").write_text(json.dumps(about))


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


Teachers = Callable[[Cell], dict[str, Path]]


@pytest.fixture(scope="session")
def teachers(make_cell: MakeCell, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Teachers:
    """Return a function of a cell to the runs that it learns from, by role: one run, trained when first asked for."""
    out = tmp_path_factory.mktemp("teacher") / "run"

    def of(cell: Cell) -> dict[str, Path]:
        if cell.teachers and not (out / "record.json").exists():
            taught = make_cell(seed=7, epochs=1).model_copy(update={"architecture": WIDER})
            fit(cell=taught, dataset=dataset, out=out, code="0" * 16, device=torch.device("cpu"), threads=1, workers=0)
        return dict.fromkeys(cell.teachers, out)

    return of


@pytest.fixture
def train(dataset: Dataset, teachers: Teachers) -> Callable[..., Path]:
    """Return a function that trains a cell in this process on one CPU thread."""

    def run(cell: Cell, out: Path, *, dataset: Dataset = dataset, code: str = "0" * 16, workers: int = 0) -> Path:
        options: dict[str, Any] = {"code": code, "device": torch.device("cpu"), "threads": 1, "workers": workers}
        fit(cell=cell, dataset=dataset, out=out, teachers=teachers(cell), **options)
        return out

    return run


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, Any]]:
    """Return a function from a run folder to everything in it that a resumed training must reproduce."""

    def read(out: Path) -> dict[str, Any]:
        left_out = (".lock", "timing.csv", "record.json")
        names = sorted(path.name for path in out.iterdir() if path.is_file() and path.name not in left_out)
        found: dict[str, Any] = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
        record = json.loads((out / "record.json").read_text())
        for cost in ("wall_clock_seconds", "epoch_seconds", "peak_memory_bytes"):
            del record[cost]
        del record["counts"]["starts"], record["files"]["timing.csv"], record["sha256"]
        return found | {"record": record}

    return read
