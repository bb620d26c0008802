"""A results tree as the training and evaluation steps leave it, with made-up numbers."""

import csv
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ews.core.files import sha256
from ews.pipeline.report.metrics import BENCHMARK
from ews.pipeline.study.naming import tagged


@dataclass
class Tree:
    """A study's manifest and the run folders behind it; ``error`` tells the clean error of (label, seed)."""

    root: Path
    manifest: dict[str, Any]
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

    def folder(self, place: int) -> Path:
        return self.runs / self.manifest["cells"][place]["run"]

    def rewrite(self) -> None:
        """Write the manifest again after a change."""
        self.study.parent.mkdir(parents=True, exist_ok=True)
        self.study.write_text(json.dumps(self.manifest))

    def errors(self, **by_method: Iterable[float]) -> None:
        """Set the clean errors of each method, by seed, in every group."""
        for method, values in by_method.items():
            for value, cells in zip(values, _by_seed(self.manifest, method), strict=True):
                for cell in cells:
                    path = self.runs / cell["run"] / "clean.json"
                    path.write_text(json.dumps(json.loads(path.read_text()) | {"error": value}))


def _by_seed(manifest: dict[str, Any], method: str) -> list[list[dict[str, Any]]]:
    own = [cell for cell in manifest["cells"] if cell["label"]["method"] == method]
    return [[cell for cell in own if cell["seed"] == seed] for seed in sorted({cell["seed"] for cell in own})]


@dataclass
class Plan:
    """The axes of a made-up study."""

    datasets: tuple[str, ...] = ("digits",)
    architectures: tuple[str, ...] = ("resnet8",)
    augmentations: tuple[str, ...] = ("standard", "augmix")
    methods: tuple[str, ...] = ("vanilla", "dropout", "ews")
    seeds: tuple[int, ...] = (0, 1, 2)
    corruptions: tuple[str, ...] = BENCHMARK
    epochs: int = 12
    test_images: int | None = None
    images: int = 1000
    logs: bool = True
    differs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Run folder of a method where it is not the method's name, e.g. for swept values."""
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
    cells = []
    for dataset in plan.datasets:
        for architecture in plan.architectures:
            for augmentation in plan.augmentations:
                for rank, method in enumerate(plan.methods):
                    for seed in plan.seeds:
                        names = (dataset, architecture, augmentation, method, seed)
                        cells.append(_cell(plan, *names))
                        _run(root / "runs" / cells[-1]["run"], plan, cells[-1], rank)
    manifest = {
        "study": "made_up",
        "title": "A made-up study",
        "evaluations": ["clean", "corruption"],
        "corruptions": list(plan.corruptions),
        "test_images": plan.test_images,
        "cells": cells,
    }
    tree = Tree(root, manifest, plan.epochs)
    tree.rewrite()
    return tree


def _cell(plan: Plan, dataset: str, architecture: str, augmentation: str, method: str, seed: int) -> dict[str, Any]:
    name = method.split(",")[0]
    values = {key: yaml.safe_load(value) for key, value in (part.split("=") for part in method.split(", ")[1:])}
    components: list[dict[str, Any]] = [{"name": part} for part in name.split("+") if name != "vanilla"]
    if components:
        components[-1] |= values
    recipe = {"epochs": plan.epochs, "batch_size": 128, "train_images": None} | plan.recipes.get(method, {})
    differs = plan.differs.get(method, values)
    folder = re.sub(r"[^a-z0-9_.+-]+", "", tagged(name, differs))
    return {
        "run": f"{dataset}/{architecture}/{augmentation}/{folder}/seed{seed}",
        "evaluation": "",
        "label": {
            "dataset": dataset,
            "architecture": architecture,
            "augmentation": augmentation,
            "method": method,
        },
        "seed": seed,
        "differs": differs,
        "cell": {
            "dataset": dataset,
            "architecture": {"name": architecture},
            "augmentation": {"name": augmentation},
            "method": {"name": name, "components": components},
            "recipe": recipe,
            "seed": seed,
        },
    }


def _run(folder: Path, plan: Plan, entry: dict[str, Any], rank: int) -> None:
    random = np.random.default_rng([entry["seed"], rank, len(entry["run"])])
    folder.mkdir(parents=True, exist_ok=True)
    level = 9.0 - 0.5 * (rank % 5) + 0.3 * random.standard_normal()
    best = {"error": level + 0.1, "epoch": plan.epochs - 1}
    _json(folder / "clean.json", {"error": level, "n": plan.images, "test_images": plan.test_images, "best": best})
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
    _csv(folder / "corruption.csv", rows)
    epochs = [
        {
            "epoch": epoch + 1,
            "learning_rate": 0.1,
            "train_loss": 2.2 * math.exp(-0.4 * epoch) + 0.05 + 0.01 * random.random(),
            "train_error": 0.8 * math.exp(-0.5 * epoch) + 0.01,
            "validation_error": 0.7 * math.exp(-0.5 * epoch) + level / 100 + 0.01 * random.random(),
        }
        for epoch in range(plan.epochs)
    ]
    _csv(folder / "epochs.csv", epochs)
    seconds = plan.seconds.get(entry["label"]["method"], (8.0,) * len(plan.seeds))[plan.seeds.index(entry["seed"])]
    _json(
        folder / "record.json",
        {
            "cell": entry["cell"],
            "seed": entry["seed"],
            "hardware": {"device": "cpu", "cpu": "Made-up CPU", "gpu": None, "threads": 2},
            "versions": {"torch": "2.14.1"},
            "wall_clock_seconds": 100.0,
            "epoch_seconds": {"wall": 9.0, "processor": seconds},
            "counts": {"train_images": 1293, "validation_images": 144},
        },
    )
    _evaluated_now(folder)
    if plan.logs and "ews" in entry["label"]["method"]:
        _controller(folder, random, updates=plan.epochs * 10)


def _evaluated_now(folder: Path) -> None:
    """Tie a run's corruption errors to its record.json, as it is now."""
    _json(folder / "corruption.json", {"record": sha256(folder / "record.json")})


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
    _csv(folder / "controller.csv", rows)
    kept = [
        {"block": block, "layer": 0, "channel": channel, "kept": int(random.binomial(900, 0.7)), "subnets": 900}
        for block, width in enumerate((16, 32, 64))
        for channel in range(width)
    ]
    _csv(folder / "kept.csv", kept)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
