"""A changed digit in any file that a report reads is refused by each command, with one message."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import SUBNETS, adversarial_result, attacked_weights, described, mimicked, subnets_found

from ews.core.documents import SEAL
from ews.core.errors import EwsError
from ews.pipeline.artifacts import run as artifacts
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report import study_rows
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.report_command import main

Tree = Any
AGAIN = {"error": 0.0, "changed": 0, "distance": 0.0, "lowest": 0.0, "highest": 1.0}
THREAT = {"epsilon": 0.1, "step_size": 0.02, "steps": 20, "restarts": 1, "batch_size": 250}
HARDWARE = {"device": "cpu", "cpu": "Made-up CPU", "gpu": None, "threads": 2}
FILES = ("record.json", "epochs.csv", "controller.csv", "kept.csv", *(f"{kind}.json" for kind in EVALUATIONS))
OTHER = dict.fromkeys(("record.json", "epochs.csv", "controller.csv", "kept.csv"), "train this run")


@pytest.fixture
def whole(grow: Callable[..., Tree]) -> Tree:
    """A study with every kind of evaluation."""
    tree = grow(augmentations=("standard",), methods=("ews",), seeds=(0, 1))
    tree.ask("perturbation", {"names": ["snow"], "seed": 0, "profile": "cifar"})
    tree.ask("adversarial", THREAT | {"version": "standard", "n_examples": None})
    tree.ask("adaptive", THREAT | {"weights": [1.0]})
    made = {"names": ["snow"], "seed": 0, "profile": "cifar"}
    tree.ask("mimicry", made | {"severity": 3, "images": 200, "steps": 20})
    held_out = {"images": None, "names": ["spatter"], "seed": 0, "profile": "cifar"}
    tree.ask("validation", held_out)
    tree.ask("subnets", SUBNETS)
    tree.ask("filters", {"bins": 4, "reach": 2.0, "near_zero": 0.1})
    for place in range(2):
        flips = {"perturbation": "snow", "frames": 31, "compared": "previous", "flip_probability": 21.5, "n": 1000}
        tree.write(place, "perturbation", {"imagenet": False, "rows": [flips]})
        attacked = attacked_weights(clean=20.0, pgd=50.0, autoattack=54.5, first=52.0, n=1000, chosen=1000, fooled=320)
        tree.write(place, "adversarial", adversarial_result(attacked))
        error, share = {"error": 20.0, "n": 1000}, {"percent": 7.5, "n": 1000}
        last = {
            **{"clean": error, "pgd": error, "adaptive": {"error": 60.5, "n": 1000, "weights": [], "again": AGAIN}},
            "router": {"suspected": share, "trusted": None},
        }
        tree.write(place, "adaptive", {"last": last, "best": None, "seed": 0, "hardware": HARDWARE, "versions": {}})
        rows = [mimicked("snow", 41.5)]
        tree.write(place, "mimicry", {"rows": rows, "fitted": 90, "held_out": 110, "factors": 1000})
        errors = [{"corruption": "spatter", "error": 31.5}]
        tree.write(place, "validation", {"clean": 20.0, "corrupted": 31.5, "rows": errors, "n": 144})
        tree.write(place, "subnets", subnets_found(50.5))
        tree.write(place, "filters", {"last": [described("stem", 40.5, 0)], "best": None})
    return tree


def measure(tree: Tree) -> None:
    files = {"out": "measurements.csv", "records": "records.json", "metrics": "metrics.json"}
    words = [word for name, file in files.items() for word in (f"--{name}", str(tree.out / file))]
    main(["measure", "--study", str(tree.study), "--runs", str(tree.runs), *words])


def figures(tree: Tree) -> None:
    places = ["--study", str(tree.study), "--runs", str(tree.runs), "--out-dir", str(tree.out)]
    main(["figures", *places, "--measurements", str(tree.out / "measurements.csv")])


def flip(path: Path) -> None:
    """Change the last digit of the file that is not one of its own checksum."""
    text = path.read_text()
    rest = text if path.suffix == ".csv" else json.dumps({**json.loads(text), SEAL: ""})
    place = max(found.start() for found in re.finditer(r"(?<=[.,])\d", rest))
    changed = rest[:place] + str((int(rest[place]) + 1) % 10) + rest[place + 1 :]
    if path.suffix != ".csv":
        changed = json.dumps({**json.loads(changed), SEAL: json.loads(text)[SEAL]})
    assert changed != text
    path.write_text(changed)


def test_every_evaluation_is_there(whole: Tree) -> None:
    assert set(whole.manifest["evaluations"]) == set(EVALUATIONS)
    measure(whole)
    figures(whole)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_digit_of_a_run_is_refused(whole: Tree, name: str) -> None:
    measure(whole)
    flip(whole.folder(1) / name)
    # Each command refuses what it reads.
    commands = [
        *([measure] if name not in ("controller.csv", "kept.csv") else []),
        *([figures] if name in ("record.json", "epochs.csv", "controller.csv", "kept.csv", "corruption.json") else []),
    ]
    assert commands
    for command in commands:
        with pytest.raises(EwsError) as refused:
            command(whole)
        assert str(whole.folder(1) / name) in str(refused.value) and "\n" not in str(refused.value)
        assert f"To {OTHER.get(name, 'measure')} again, delete" in str(refused.value)


def test_a_changed_byte_of_predictions_is_refused(whole: Tree) -> None:
    path = whole.folder(0) / "clean.npz"
    np.savez(path, prediction=np.arange(3))
    whole.seal()
    path.write_bytes(path.read_bytes() + b"\0")
    inputs, entry = Inputs(whole.runs), study_rows.load(whole.study).entries[0]
    result = inputs.result(entry, "clean")
    assert result is not None
    with pytest.raises(EwsError, match=r"clean\.npz: damaged, or of another evaluation"):
        inputs.arrays(entry, result)


def test_each_file_is_read_once_per_command(whole: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    read_bytes, read_text = artifacts.read_sealed, artifacts.read_rows

    def sealed(path: Path, *arguments: Any, **keywords: Any) -> Any:
        opened.append(path)
        return read_bytes(path, *arguments, **keywords)

    def rows(path: Path, *arguments: Any, **keywords: Any) -> Any:
        opened.append(path)
        return read_text(path, *arguments, **keywords)

    monkeypatch.setattr("ews.pipeline.artifacts.run.read_sealed", sealed)
    monkeypatch.setattr("ews.pipeline.artifacts.evaluation.read_sealed", sealed)
    monkeypatch.setattr("ews.pipeline.artifacts.run.read_rows", rows)
    measure(whole)
    expected = [f"{kind}.json" for kind in EVALUATIONS] + ["record.json", "epochs.csv"]
    assert sorted(opened) == sorted(whole.folder(place) / name for place in range(2) for name in expected)
    opened.clear()
    figures(whole)
    assert len(opened) == len(set(opened))
