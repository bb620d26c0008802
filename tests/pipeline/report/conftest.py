"""A results tree as the training and evaluation steps leave it, with made-up numbers."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.runs import RECIPE, a_cell, a_record, method, write_csv

from ews.core.documents import SEAL, seal_of, write_sealed
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.methods.method_registry import METHODS
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun, write_record
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK

Content = dict[str, Any]


@dataclass
class Tree:
    """A study's manifest and the run folders behind it.

    Tests change contents, and :meth:`seal` then leaves files as their writers would have: each vouched for.
    """

    root: Path
    manifest: Content
    epochs: int = 6

    @property
    def study(self) -> Path:
        return self.root / "study" / "study.json"

    @property
    def out(self) -> Path:
        return self.study.parent

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def entries(self) -> list[Content]:
        found: list[Content] = self.manifest["entries"]
        return found

    def folder(self, place: int) -> Path:
        return self.runs / self.entries[place]["run"]

    def results(self, place: int) -> Path:
        return self.folder(place) / self.entries[place]["evaluation"]

    def rewrite(self) -> None:
        """Write the manifest again after a change."""
        self.study.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(self.study, self.manifest)

    def evaluations(self, *kinds: str) -> None:
        """Ask for these evaluations alone, of those that were asked for."""
        self.manifest["evaluations"] = list(kinds)
        for entry in self.entries:
            entry["asked"] = [asked for asked in entry["asked"] if asked["kind"] in kinds]
        self.rewrite()

    def ask(self, kind: str, options: Content, *, of: Callable[[Content], bool] = lambda entry: True) -> None:
        """Ask for one more evaluation."""
        self.manifest["evaluations"] = [*(k for k in self.manifest["evaluations"] if k != kind), kind]
        for entry in self.entries:
            if of(entry):
                entry["asked"] = [*(one for one in entry["asked"] if one["kind"] != kind)]
                entry["asked"].append({"kind": kind, "options": {"test_images": None, **options}})
        self.rewrite()

    def write(self, place: int, kind: str, result: Content) -> None:
        """Write what an evaluation found, and seal it."""
        path = self.results(place) / run_files.result(kind)
        path.write_text(json.dumps({"result": result}))
        self.seal(place)

    def change(self, place: int, name: str, change: Callable[[Content], object]) -> None:
        """Change the content of a JSON file of an entry, and seal what hangs on it."""
        folder = self.folder(place) if name == run_files.RECORD else self.results(place)
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
        self.seal(place)

    def seal(self, *places: int) -> None:
        """Make the records and results of entries vouch for what lies there now."""
        for place in places or range(len(self.entries)):
            entry, folder = self.entries[place], self.folder(place)
            record = folder / run_files.RECORD
            tables = [name for name in run_files.TRAINED if (folder / name).is_file() and name != run_files.RECORD]
            _sealed(record, {"cell": entry["cell"], "files": {name: sha256(folder / name) for name in tables}})
            for asked in entry["asked"]:
                path = self.results(place) / run_files.result(asked["kind"])
                if not path.is_file():
                    continue
                arrays = path.with_name(run_files.arrays(asked["kind"]))
                _sealed(
                    path,
                    {
                        "evaluation": asked["kind"],
                        "options": asked["options"],
                        "code": "0" * 16,
                        "run": _identity(folder),
                        "dataset": entry["label"]["dataset"],
                        "data": "0" * 64,
                        "files": {arrays.name: sha256(arrays)} if arrays.is_file() else {},
                    },
                )

    def errors(self, **by_method: Iterable[float]) -> None:
        """Set the clean errors of each method, by seed, in every group."""
        for name, values in by_method.items():
            places = [place for place, entry in enumerate(self.entries) if entry["label"]["method"] == name]
            seeds = sorted({self.entries[place]["cell"]["seed"] for place in places})
            for value, seed in zip(values, seeds, strict=True):
                for place in places:
                    if self.entries[place]["cell"]["seed"] == seed:
                        self.change(place, "clean.json", partial(_last, error=value))


def _last(content: Content, error: float) -> None:
    content["result"]["last"]["error"] = error


def _identity(folder: Path) -> str:
    """Return a run's identity; of a run with an impossible record, at which reading stops, any."""
    try:
        return FinishedRun.open(folder).identity
    except EwsError:
        return "0" * 64


def _sealed(path: Path, changes: Content) -> None:
    content = json.loads(path.read_text()) | changes
    content.pop(SEAL, None)
    path.write_text(json.dumps({**content, SEAL: seal_of(content)}))


@dataclass
class Plan:
    """The axes of a made-up study."""

    datasets: tuple[str, ...] = ("digits",)
    architectures: tuple[str, ...] = ("resnet8",)
    augmentations: tuple[str, ...] = ("standard", "augmix")
    methods: tuple[str, ...] = ("vanilla", "dropout", "ews")
    seeds: tuple[int, ...] = (0, 1, 2)
    corruptions: tuple[str, ...] = BENCHMARK
    profile: str = "cifar"
    epochs: int = 12
    test_images: int | None = None
    images: int = 1000
    logs: bool = True
    differs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of a method: values that differ from the defaults, where they are not those in its name."""
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of a method: entries of the recipe that differ."""
    seconds: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Of a method: processor seconds of the median epoch, by seed."""


@pytest.fixture
def grow(tmp_path: Path) -> Callable[..., Tree]:
    """Return a function that writes the tree of a plan, given by the fields of :class:`Plan`."""
    return lambda **plan: build(tmp_path, Plan(**plan))


@pytest.fixture
def tree(grow: Callable[..., Tree]) -> Tree:
    """The usual tree: 3 seeds x 2 augmentations x 3 methods, with controller logs."""
    return grow()


def build(root: Path, plan: Plan) -> Tree:
    """Write the run folders and the manifest of a plan."""
    entries, ranks = [], []
    for dataset in plan.datasets:
        for architecture in plan.architectures:
            for augmentation in plan.augmentations:
                for rank, name in enumerate(plan.methods):
                    for seed in plan.seeds:
                        entries.append(_entry(plan, dataset, architecture, augmentation, name, seed))
                        ranks.append(rank)
    manifest = {
        "study": "made_up",
        "title": "A made-up study",
        "evaluations": ["clean", "corruption"],
        "entries": entries,
        "teachers": {},
    }
    tree = Tree(root, manifest, plan.epochs)
    for place, rank in enumerate(ranks):
        _run(tree.folder(place), plan, entries[place], rank)
    tree.seal()
    tree.rewrite()
    return tree


def _entry(plan: Plan, dataset: str, architecture: str, augmentation: str, label: str, seed: int) -> Content:
    name, *parts = label.split(", ")
    values = {key: yaml.safe_load(value) for key, value in (part.split("=") for part in parts)}
    own = [part for part in name.split("+") if part in METHODS]
    known = METHODS[own[-1]] if own else None
    parameters = {}
    if known is not None:
        fields = (next(iter(known.by_objective.values())) if known.by_objective else known.parameters()).model_dump()
        parameters = {key: value for key, value in values.items() if key in fields}
    recipe = RECIPE | {"epochs": plan.epochs} | plan.recipes.get(label, {})
    cell = a_cell(
        dataset=dataset,
        architecture={
            "name": architecture,
            "parameters": {"network": "cifar_resnet", "depth": 8, "width": 4},
            "dynamic": None,
        },
        augmentation={"name": augmentation, "crop": {"padding": 4, "flip": True}, "parameters": {}},
        # A name that is none stands for a method that is.
        method=method("+".join(own) or ("vanilla" if name == "vanilla" else "dropout"), **parameters),
        recipe=recipe,
        seed=seed,
    )
    differs = plan.differs.get(label, {f"{own[-1] if own else 'recipe'}.{key}": value for key, value in values.items()})
    folder = "--".join([name, *(f"{key}-{value}" for key, value in differs.items())]).replace("+", "-")
    asked = [
        {"kind": "clean", "options": {"test_images": plan.test_images}},
        {
            "kind": "corruption",
            "options": {
                "test_images": plan.test_images,
                "names": list(plan.corruptions),
                "seed": 0,
                "profile": plan.profile,
            },
        },
    ]
    return {
        "run": f"{dataset}/{architecture}/{augmentation}/{folder}/seed{seed}",
        "evaluation": "",
        "label": {
            "dataset": dataset,
            "architecture": architecture,
            "augmentation": augmentation,
            "method": label,
        },
        "differs": differs,
        "cell": cell.model_dump(mode="json"),
        "corrupted": {"source": "generated", "profile": plan.profile, "seed": 0},
        "asked": asked,
    }


def _run(folder: Path, plan: Plan, entry: Content, rank: int) -> None:
    seed, label = entry["cell"]["seed"], entry["label"]["method"]
    random = np.random.default_rng([seed, rank, len(entry["run"])])
    folder.mkdir(parents=True, exist_ok=True)
    level = 9.0 - 0.5 * (rank % 5) + 0.3 * random.standard_normal()
    errors = {"last": level, "best": level + 0.1}
    clean = {key: {"error": error, "correct": 0, "n": plan.images} for key, error in errors.items()}
    _json(folder / "clean.json", {"result": clean})
    rows = [
        {
            "corruption": name,
            "severity": severity,
            "error": min(95.0, (level + 2 + 3 * (place % 5)) * (1 + 0.35 * severity) + random.standard_normal()),
            "n": plan.images,
        }
        for place, name in enumerate(plan.corruptions)
        for severity in range(1, 6)
    ]
    _json(
        folder / "corruption.json",
        {"result": {"imagenet": plan.profile == "imagenet", "rows": rows, "corruptions": {}}},
    )
    epochs = [
        {
            "epoch": epoch + 1,
            "learning_rate": 0.1,
            "train_loss": 2.2 * math.exp(-0.4 * epoch) + 0.05 + 0.01 * random.random(),
            "train_error": 0.8 * math.exp(-0.5 * epoch) + 0.01,
            "validation_error": 0.7 * math.exp(-0.5 * epoch) + level / 100 + 0.01 * random.random(),
            "weights_sha256": "0" * 64,
        }
        for epoch in range(plan.epochs)
    ]
    write_csv(folder / "epochs.csv", epochs)
    seconds = plan.seconds.get(label, (8.0,) * len(plan.seeds))[plan.seeds.index(seed)]
    write_record(folder, a_record(a_cell(seed=seed)))
    _sealed(folder / "record.json", {"epoch_seconds": {"wall": 9.0, "processor": seconds}})
    if plan.logs and "ews" in label:
        _controller(folder, random, updates=plan.epochs * 10)


def _controller(folder: Path, random: np.random.Generator, *, updates: int) -> None:
    baseline, rows = 0.3, []
    for update in range(updates):
        full = 0.95 - 0.6 * math.exp(-update / 30) + 0.03 * random.standard_normal()
        reward = full - 0.25 + 0.08 * random.standard_normal()
        rows.append(
            {
                "iteration": 10 * (update + 1),
                "epoch": 1 + update // 10,
                "reward": reward,
                "baseline": baseline,
                "entropy": 40 - 0.05 * update + random.random(),
                "loss": 0.1 * random.standard_normal(),
                "gradient_norm": random.random(),
                "subnet_accuracy": reward,
                "full_accuracy": full,
            }
        )
        baseline = 0.99 * baseline + 0.01 * reward
    write_csv(folder / "controller.csv", rows)
    kept = [
        {"block": block, "layer": 0, "channel": channel, "kept": int(random.binomial(900, 0.7)), "subnets": 900}
        for block, width in enumerate((16, 32, 64))
        for channel in range(width)
    ]
    write_csv(folder / "kept.csv", kept)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
