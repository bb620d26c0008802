"""tools/compare.py finds a changed bit, and does not call two empty runs the same."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.methods.method_registry import METHODS
from ews.models.architecture_registry import ARCHITECTURES
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.workflow.workflow_plan import Plan
from ews.subnets.search.search_registry import SEARCHES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import compare  # noqa: E402

LABEL = {"dataset": "digits", "architecture": "tiny", "augmentation": "standard", "method": "ews, search=random"}


def write_csv(path: Path, *rows: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def finished(folder: Path, *, run: str) -> Path:
    """Write a finished copy with one cell; returns the folder of its run."""
    place = folder / "results" / "runs" / run
    (place / "eval").mkdir(parents=True)
    save_file({"stem.weight": np.ones(3, np.float32)}, place / "model.safetensors")
    write_csv(place / "epochs.csv", {"epoch": 1, "train_loss": 0.25, "seconds": 1.5})
    np.savez(place / "eval" / "clean.npz", prediction=np.arange(4))
    study = folder / "results" / "tiny"
    study.mkdir()
    entry = {"label": LABEL, "cell": {"seed": 0}, "run": run, "evaluation": "eval"}
    # As 0.1.0 wrote it, and as it is written now.
    old = {"cells": [{**entry, "seed": 0}]}
    (study / "study.json").write_text(json.dumps(old if "," in run else {"entries": [entry]}))
    row = {**LABEL, "seed": 0, "metric": "clean error", "value": 2.5, "n": 4, "reported": ""}
    write_csv(study / "measurements.csv", row)
    (folder / compare.DONE).write_text(json.dumps({"studies": ["tiny"]}))
    return place


def next_bit(run: Path) -> None:
    save_file({"stem.weight": np.nextafter(np.ones(3, np.float32), np.float32(2))}, run / "model.safetensors")


def other_loss(run: Path) -> None:
    write_csv(run / "epochs.csv", {"epoch": 1, "train_loss": 0.250001, "seconds": 1.5})


def other_type(run: Path) -> None:
    np.savez(run / "eval" / "clean.npz", prediction=np.arange(4, dtype=np.int32))


def without_predictions(run: Path) -> None:
    (run / "eval" / "clean.npz").unlink()


def other_measurement(run: Path) -> None:
    table = run.parents[1] / "tiny" / "measurements.csv"
    table.write_text(table.read_text().replace("2.5", "2.6"))


def nothing(run: Path) -> None:
    write_csv(run / "epochs.csv", {"epoch": 1, "train_loss": 0.25, "seconds": 9, "weights": "a column more"})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (nothing, []),
        (next_bit, ["model.safetensors: stem.weight"]),
        (other_loss, ["epochs.csv: train_loss"]),
        (other_type, ["clean.npz: prediction"]),
        (without_predictions, ["clean.npz: only before"]),
        (other_measurement, ["measurements.csv: clean error: 2.5 of 4 -> 2.6 of 4"]),
    ],
)
def test_a_difference_is_found_whatever_the_run_is_called(
    change: Callable[[Path], None], where: list[str], tmp_path: Path
) -> None:
    finished(tmp_path / "before", run="ews,search=random")
    change(finished(tmp_path / "after", run="ews_search-random"))
    (verdict,) = compare.compare(tmp_path / "before", tmp_path / "after").values()
    assert verdict.differs[: len(where) or None] == where
    assert verdict.new == (["epochs.csv: weights"] if change is nothing else [])


def test_runs_without_predictions_on_either_side_are_not_the_same(tmp_path: Path) -> None:
    for side in ("before", "after"):
        without_predictions(finished(tmp_path / side, run="ews"))
    (verdict,) = compare.compare(tmp_path / "before", tmp_path / "after").values()
    assert verdict.differs == ["weights, logs or predictions missing on both sides"]


def test_every_method_augmentation_network_and_evaluation_is_compared() -> None:
    content = compare.load(compare.OVERLAY)
    studies = content["studies"].values()

    def named(axis: str) -> set[str]:
        values = [study.get(axis, []) for study in studies]
        return {name for value in values for name in ([value] if isinstance(value, str) else value)}

    assert {part for method in named("method") for part in method.split("+")} == {"vanilla", *METHODS}
    assert named("augmentation") | {"standard"} == set(AUGMENTATIONS)
    used = {content["architectures"][name]["network"] for name in named("architecture")}
    assert used == set(ARCHITECTURES)
    assert named("evaluations") == set(EVALUATIONS)
    searches = content["studies"]["compare_search"]["overrides"]["methods.ews.search"]
    assert {"learned", *searches} == set(SEARCHES)


def test_what_is_compared_can_be_planned() -> None:
    plan = Plan.of(compare.merged(compare.load(ROOT / "params.yaml"), compare.load(compare.OVERLAY)))
    assert set(plan.studies) == set(compare.load(compare.OVERLAY)["studies"])
