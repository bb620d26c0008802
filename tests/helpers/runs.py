"""Finished runs as the training step leaves them, made up: records, and JSON files sealed again after a change."""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ews.core.documents import SEAL, seal_of
from ews.core.files import sha256
from ews.core.machine_types import Hardware
from ews.methods.method_registry import METHODS
from ews.pipeline.artifacts.record import EpochSeconds, Record
from ews.pipeline.artifacts.run import write_record
from ews.pipeline.evaluate.subnets.subnets_spec import SHARES
from ews.pipeline.study.cell import Cell

RECIPE = {
    "epochs": 1,
    "batch_size": 32,
    "train_images": None,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 0.0005,
    "schedule": "cosine",
    "milestones": [],
    "gamma": 0.1,
    "warmup_epochs": 0,
    "gradient_clip": None,
    "label_smoothing": 0.0,
    "precision": "auto",
}
NETWORK = {"network": "cifar_resnet", "depth": 8, "width": 4}


SUBNETS = {
    **{"count": 300, "width": 0.7, "rounding": "ceil", "images": 1000, "statistics": "batch", "batch_size": 128},
    "seed": 0,
}
"""What the evaluation of random subnets is asked for."""


def a_cell(**changes: Any) -> Cell:
    """Return a cell whose sections may be replaced, given as JSON."""
    plain = {
        "dataset": "grey",
        "architecture": {"name": "resnet8", "parameters": NETWORK, "dynamic": None},
        "augmentation": {"name": "standard", "crop": {"padding": 4, "flip": True}, "parameters": {}},
        "method": {"name": "vanilla", "components": []},
        "teachers": {},
        "recipe": RECIPE,
        "seed": 0,
    }
    return Cell.model_validate_json(json.dumps(plain | changes))


def method(name: str, **parameters: Any) -> dict[str, Any]:
    """Return the section of a composition's cell; ``parameters`` of the last component that are not the defaults."""
    parts = [part for part in name.split("+") if part != "vanilla"]
    components = []
    for part in parts:
        spec = METHODS[part]
        defaults = next(iter(spec.by_objective.values())) if spec.by_objective else spec.parameters()
        plain = defaults.model_dump(mode="json") | (parameters if part == parts[-1] else {})
        components.append({"name": part, "parameters": plain})
    return {"name": name, "components": components}


def a_record(cell: Cell, **changes: Any) -> Record:
    """Return the record of a made-up training."""
    plain: dict[str, Any] = {
        "cell": cell,
        "seed": cell.seed,
        "data": "0" * 64,
        "code": "0" * 16,
        "git": None,
        "versions": {"torch": "2.14.1"},
        "hardware": Hardware(device="cpu", cpu="Made-up CPU", gpu=None, threads=2),
        "wall_clock_seconds": 100.0,
        "epoch_seconds": EpochSeconds(wall=9.0, processor=8.0),
        "peak_memory_bytes": {"cpu": 10**8},
        "counts": {"train_images": 1293, "validation_images": 144},
        "metrics": {},
        "files": {},
    }
    return Record(**(plain | changes))


def finish(folder: Path, cell: Cell, *, files: Iterable[str], **changes: Any) -> None:
    """Write the record of a folder in which a training's other files lie."""
    write_record(folder, a_record(cell, files={name: sha256(folder / name) for name in files}, **changes))


def reseal(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of a sealed file and seal it again: what a person who knows how could do."""
    content = json.loads(path.read_text())
    content.pop(SEAL)
    change(content)
    path.write_text(json.dumps({**content, SEAL: seal_of(content)}))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as the training run does."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def subnets_found(mean: float, *, subnets: str = "0" * 64) -> dict[str, Any]:
    """Return what was found of random subnets whose errors spread evenly over 12 percentage points."""
    quantiles = [{"share": share, "error": mean + 12 * (share - 0.5)} for share in SHARES]
    return {"full": 40.0, "mean": mean, "deviation": 3.0, "quantiles": quantiles, "subnets": subnets, "n": 1000}


def attacked_weights(
    *, clean: float, pgd: float, autoattack: float, first: float, n: int, chosen: int, fooled: int = 0
) -> dict[str, Any]:
    """Return what attacks found of one set of weights: errors, and those of AutoAttack's first attack."""
    again = {"error": 0.0, "changed": 0, "distance": 0.0, "lowest": 0.0, "highest": 1.0}
    attacks = [
        {"attack": "apgd-ce", "error": first, "fooled": fooled},
        {"attack": "apgd-t", "error": autoattack, "fooled": 0},
    ]
    return {
        "clean": {"error": clean, "n": n},
        "pgd": {"error": pgd, "n": n, "again": again},
        "autoattack": {"error": autoattack, "n": chosen, "attacks": attacks, "again": again},
        "sweep": {"n": chosen, "errors": []},
        "warnings": [],
    }


def adversarial_result(last: dict[str, Any], best: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the part `result` of adversarial.json."""
    hardware = {"device": "cpu", "cpu": "Made-up CPU", "gpu": None, "threads": 2}
    return {"last": last, "best": best, "seed": 0, "shard": 250, "hardware": hardware, "versions": {}}


def mimicked(name: str, share: float) -> dict[str, Any]:
    """Return a row of the evaluation mimicry, with this share of the change explained."""
    explained = {"fitted": share + 20, "held_out": share, "constant": share - 30, "random": 0.5}
    losses = {"clean": 0.5, "corrupted": 2.5, "mimicked": 0.5 + share / 50}
    spread, error = share / 1000, share / 2
    return {
        **{"corruption": name, "error": error, "explained": explained, "spread": spread, "losses": losses},
        **{"agreement": 90.0, "unchanged": 70.0},
    }


def described(layer: str, level: float, rank: int) -> dict[str, Any]:
    """Return a layer of the evaluation filters, its scale a hundredth of the level."""
    return {
        **{"layer": layer, "filters": 8, "fan_in": 25, "mean": 0.0, "mean_absolute": 0.1, "deviation": level / 100},
        **{"kurtosis": 3.0 + rank, "near_zero": 8.0, "norm": 1.0, "norm_deviation": 0.1, "norm_gini": 10.0 + rank},
    }
