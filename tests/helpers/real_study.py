"""A study that is really trained and measured, in this process: two tiny networks, every kind of evaluation."""

import contextlib
import io
from pathlib import Path
from typing import Any

import yaml

from ews.cli import main
from ews.core.documents import write_sealed
from ews.data.prepare import prepare
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.remote.remote_tasks import tasks
from ews.pipeline.remote.work import filled
from ews.pipeline.study.cells import manifest
from ews.pipeline.study.params import validate

ROOT = Path(__file__).parents[2]
STUDY = "real"


def make(folder: Path) -> None:
    """Write ``data/digits``, ``results/runs`` and ``results/real`` with its numbers, without figures."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    _shrink(raw)
    params = validate(raw)
    data, study = folder / "data" / "digits", folder / "results" / STUDY
    prepare(
        dataset="digits",
        source="digits",
        validation=0.1,
        manifest=ROOT / "data" / "sources.yaml",
        downloads=folder / "downloads",
        out=data,
    )
    places = {"data": str(data.parent), "runs": str(folder / "results/runs"), "threads": "1", "workers": "1"}
    with contextlib.redirect_stderr(io.StringIO()):
        for task in tasks(params, STUDY).tasks:
            main(filled(task, places))
    study.mkdir()
    write_sealed(study / "study.json", manifest(params, STUDY))
    report(folder, "measure")


def report(folder: Path, command: str) -> None:
    """Run a command of ``ews report``, as the workflow does."""
    runs, study = folder / "results/runs", folder / "results" / STUDY
    given: dict[str, Path] = {"study": study / "study.json"}
    if command == "measure":
        given |= {"runs": runs, "out": study / "measurements.csv", "records": study / "records.json"}
        given |= {"metrics": study / "metrics.json", "images": study / "images.csv"}
    else:
        given |= {"measurements": study / "measurements.csv", "out-dir": study}
        given |= {"records": study / "records.json", "images": study / "images.csv"} if command == "table" else {}
        given |= {"runs": runs} if command == "figures" else {}
    main(["report", command, *(word for name, path in given.items() for word in (f"--{name}", str(path)))])


def _shrink(raw: dict[str, Any]) -> None:
    """Make the parameters plan one study of cells that train and are measured in a second."""
    for recipe in raw["recipes"]["digits"].values():
        recipe |= {"epochs": 2, "batch_size": 32, "train_images": 64}
    raw["architectures"]["tiny"] = {"network": "cifar_resnet", "depth": 8, "width": 4}
    measured = raw["evaluation"]
    measured["test_images"] = 12
    measured["corruption"] = {"stored": False, "names": ["contrast", "brightness"]}
    measured["perturbation"] = {"names": ["translate"]}
    # A radius within which the first attack of AutoAttack finds all images leaves the others nothing to do.
    measured["adversarial"] |= {"epsilon": "128/255", "step_size": "64/255", "steps": 2}
    measured["adversarial"]["autoattack"] |= {"n_examples": 2, "batch_size": 2}
    measured["validation"] |= {"images": 6, "names": ["saturate"]}
    measured["mimicry"] |= {"images": 12, "steps": 1}
    measured["subnets"] |= {"images": 12, "count": 4}
    raw["studies"] = {
        STUDY: {"dataset": "digits", "architecture": "tiny", "method": ["vanilla", "ews", "awnet"], "seed": 0}
    }
    raw["studies"][STUDY]["evaluations"] = list(EVALUATIONS)
    raw["reproduce"] = [STUDY]
