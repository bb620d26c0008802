"""Accepting runs for other code: only after a repeated first epoch, and with everything said in their records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.accept import accept
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import optim, training_uses

OLD = "0" * 16
REASON = "A loop was renamed."
Cells = dict[str, Cell]


@pytest.fixture
def runs(make_cell: Callable[..., Cell], train: Callable[..., Path], tmp_path: Path) -> tuple[Path, Cells]:
    """Two runs of one kind and one of another, as other code trained them."""
    cells = {
        "ews/seed0": make_cell("ews", epochs=2),
        "ews/seed1": make_cell("ews", epochs=2, seed=1),
        "dropout/seed0": make_cell("dropout", epochs=2),
    }
    for name, cell in cells.items():
        train(cell, tmp_path / "runs" / name, code=OLD)
    return tmp_path / "runs", cells


def accepted(folder: Path, cells: Cells, data: Path, **options: Any) -> tuple[list[Path], list[str]]:
    said: list[str] = []
    options = {"reason": REASON, "data": data.parent, "runs": folder, "say": said.append, **options}
    return accept(cells, **options), said


def test_runs_that_train_the_same_count_for_the_present_code(runs: tuple[Path, Cells], data: Path) -> None:
    folder, cells = runs
    before = {name: FinishedRun.open(folder / name) for name in cells}
    stamped, said = accepted(folder, cells, data)
    assert sorted(stamped) == sorted(folder / name for name in cells)
    assert len(said) == 2 and all("the same weights" in line for line in said)
    for name, cell in cells.items():
        run = FinishedRun.open(folder / name)
        (entry,) = run.record.accepted
        assert (entry.before, entry.after, entry.reason) == (OLD, training_uses.code(cell), REASON)
        assert run.record.code == training_uses.code(cell) and entry.check.exact
        # What was measured of it is still of it, and every file is still the one that its record names.
        assert run.identity == before[name].identity and run.record.files == before[name].record.files
    ews = FinishedRun.open(folder / "ews/seed1").record.accepted[0].check
    assert ews.run == "ews/seed0" and ews.weights_sha256 == before["ews/seed0"].epochs()[0].weights_sha256
    assert accepted(folder, cells, data) == ([], ["3 runs are already of this code."])


def test_a_change_of_results_is_refused_kind_by_kind(
    runs: tuple[Path, Cells], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cells = runs
    rate = optim.learning_rate
    monkeypatch.setattr(optim, "learning_rate", lambda recipe, epoch: rate(recipe, epoch) * (1 + 1e-6))
    records = {name: (folder / name / run_files.RECORD).read_bytes() for name in cells}
    with pytest.raises(EwsError, match=r"2 kinds are not accepted:\n.*comes out otherwise.*train these runs again"):
        accepted(folder, cells, data)
    assert {name: (folder / name / run_files.RECORD).read_bytes() for name in cells} == records


def test_checking_alone_writes_nothing(runs: tuple[Path, Cells], data: Path) -> None:
    folder, cells = runs
    stamped, said = accepted(folder, cells, data, check_only=True)
    assert stamped == [] and len(said) == 2
    assert all(FinishedRun.open(folder / name).record.code == OLD for name in cells)


def test_unfinished_and_other_runs_are_left_alone(
    runs: tuple[Path, Cells], data: Path, make_cell: Callable[..., Cell]
) -> None:
    folder, cells = runs
    planned = {**cells, "dropout/seed0": make_cell("dropout", epochs=3), "vanilla/seed0": make_cell()}
    stamped, said = accepted(folder, planned, data)
    assert sorted(stamped) == [folder / "ews/seed0", folder / "ews/seed1"]
    assert "1 runs are not finished." in said
    assert "dropout/seed0: was trained with other parameters than are planned; not accepted." in said


def test_a_damaged_log_is_refused(runs: tuple[Path, Cells], data: Path) -> None:
    folder, cells = runs
    path = folder / "dropout/seed0" / run_files.EPOCHS
    path.write_text(path.read_text().replace("1,", "2,", 1))
    with pytest.raises(EwsError, match=r"epochs\.csv: damaged, or of another run"):
        accepted(folder, cells, data)
    assert FinishedRun.open(folder / "dropout/seed0").record.code == OLD
