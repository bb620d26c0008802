"""What a study would take: which training runs cost the same, the sum by hand, and a measurement of tiny ones."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.benchmark import call, command

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import hours  # noqa: E402

from ews.core.errors import EwsError  # noqa: E402
from ews.methods.ews.ews_spec import EwsParameters  # noqa: E402
from ews.models.wide_resnet.wide_resnet_spec import WideResNetParameters  # noqa: E402
from ews.pipeline.study.cell import ArchitectureCell, Cell  # noqa: E402

STUDIES = ["table1", "figure5", "figure6_lambda", "table4", "comparison_adversarial"]


@pytest.fixture(scope="module")
def studies() -> dict[str, hours.Cells]:
    return hours.planned(ROOT / "params.yaml", STUDIES)


def kinds(cells: hours.Cells) -> set[str]:
    return {hours.kind(cell) for cell in cells.values()}


def test_trainings_of_one_kind_cost_the_same(studies: dict[str, hours.Cells]) -> None:
    # Two datasets; lambda is free; K and the architecture are not.
    assert (len(studies["table1"]), len(kinds(studies["table1"]))) == (18, 9)
    assert kinds(studies["figure6_lambda"]) <= kinds(studies["table1"])
    intervals = {
        parameters.interval
        for cell in studies["figure5"].values()
        for parameters in cell.method.parameters.values()
        if isinstance(parameters, EwsParameters)
    }
    assert len(kinds(studies["figure5"])) == 1 + len(intervals)
    assert len(kinds(studies["table4"])) == 30


def test_hours_by_hand(studies: dict[str, hours.Cells]) -> None:
    """Two datasets x 9 training runs x 400 epochs of 352 steps of a second and a validation of 8 take 720 hours."""
    measured = {kind: {"step": {"median": 1.0}, "validation": 8.0} for kind in kinds(studies["table1"])}
    assert hours.hours(studies["table1"], measured) == pytest.approx(18 * 400 * 360 / 3600)
    measured.popitem()
    assert hours.hours(studies["table1"], measured) is None


def test_extra_images_take_twice_as_many_steps_only_in_a_pass(studies: dict[str, hours.Cells]) -> None:
    cells = {cell.method.name: cell for cell in studies["table4"].values() if cell.architecture.name == "wrn34_10"}
    mixed = cells["trades+awp+rst"]
    content = mixed.model_dump(mode="json")
    (rst,) = (part for part in content["method"]["components"] if part["name"] == "rst")
    rst["parameters"]["epoch"] = "pass"
    whole = Cell.model_validate_json(json.dumps(content))
    # A step costs the same; 45,000 labelled images, 64 of them in a batch.
    assert hours.kind(whole) == hours.kind(mixed)
    measured = {hours.kind(mixed): {"step": {"median": 2.0}, "validation": 10.0}}
    assert hours.hours({"run": mixed}, measured) == pytest.approx(200 * (352 * 2 + 10) / 3600)
    assert hours.hours({"run": whole}, measured) == pytest.approx(200 * (704 * 2 + 10) / 3600)
    assert hours.steps_of(mixed) == hours.steps_of(cells["trades"]) == 352


def tiny(cell: Cell) -> Cell:
    """Return a cell with a small network and small batches."""
    network = ArchitectureCell(name="wrn10_1", parameters=WideResNetParameters(depth=10, widen=1))
    changed: dict[str, Any] = {
        "architecture": network.model_copy(update={"dynamic": cell.architecture.dynamic}),
        "recipe": cell.recipe.model_copy(update={"batch_size": 8, "train_images": 40}),
        "teachers": {role: one.model_copy(update={"architecture": network}) for role, one in cell.teachers.items()},
    }
    return cell.model_copy(update=changed)


@pytest.mark.slow
def test_every_kind_of_component_is_measured(studies: dict[str, hours.Cells], tmp_path: Path) -> None:
    wanted = ("dropout", "at+awp+ews", "trades+awp+rst", "mixacm", "awnet")
    cells: hours.Cells = {}
    for runs in studies.values():
        for cell in runs.values():
            name, augmentation = cell.method.name, cell.augmentation.name
            if name in wanted and (name != "dropout" or augmentation == "augmix"):
                cells.setdefault(name, tiny(cell))
    assert set(cells) == set(wanted)
    given = tmp_path / "cells.json"
    hours.write_cells(given, {"tiny": cells})
    done = command(
        "hours.py", "--cells", given, "--out", tmp_path, "--device", "cpu", "--threads", 1,
        "--repeats", 1, "--calls", 2, "--validation", 4,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "hours.cpu.json").read_text())
    assert set(result["kinds"]) == kinds(cells)
    assert result["studies"]["tiny"]["hours"] == pytest.approx(hours.hours(cells, result["kinds"]))
    ews = result["kinds"][hours.kind(cells["at+awp+ews"])]
    # Updates every 10 steps: timed in tens.
    assert ews["calls"] == 10 and ews["step"]["median"] > 0 and ews["validation"] > 0
    page = (tmp_path / "hours.cpu.md").read_text()
    assert "| `tiny` | 5 |" in page and "wrn10_1, augmix, dropout, batch 8" in page


def test_what_it_cannot_measure_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (["--study", "nonsense"], r"\Aunknown study 'nonsense'.*\Z"),
        (["--study", "quickstart"], r"\A--study: datasets digits.*\Z"),
    ):
        with pytest.raises(EwsError, match=message):
            call(hours.main, *arguments, "--out", tmp_path)
    assert not list(tmp_path.iterdir())
