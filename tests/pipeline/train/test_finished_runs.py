"""A finished run is not trained again: killed at any moment of its end, outputs deleted, or the command repeated."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ews.core import console, finished
from ews.data.dataset import Dataset
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint, outputs
from ews.pipeline.train.loop import fit
from ews.pipeline.train.training import Training

DECLARED = (run_files.LAST, run_files.EPOCHS, run_files.RECORD)
Fit = Callable[..., list[int]]


@pytest.fixture
def trained(make_cell: Callable[..., Cell], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Return a function that gives the training command of one cell, and the epochs that it trained."""
    epoch = Training.epoch

    def call(*, code: str = "0" * 16, managed: bool = True, **changed: Any) -> list[int]:
        done: list[int] = []

        def counted(self: Training, number: int, **options: Any) -> Any:
            done.append(number)
            return epoch(self, number, **options)

        monkeypatch.setattr(Training, "epoch", counted)
        how: dict[str, Any] = {"device": torch.device("cpu"), "threads": 1, "workers": 0, "managed": managed}
        fit(cell=make_cell(epochs=2, **changed), dataset=dataset, out=tmp_path / "run", code=code, **how)
        return done

    return call


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if not path.name.startswith(".")}


def delete_outputs(run: Path) -> None:
    """As Snakemake does before it repeats a job whose end it did not see."""
    for name in DECLARED:
        (run / name).unlink(missing_ok=True)


@pytest.mark.parametrize("deleted", [DECLARED, run_files.TRAINED, DECLARED[:1], ()], ids=len)
def test_outputs_that_are_deleted_are_put_back(
    trained: Fit, tmp_path: Path, deleted: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained() == [0, 1]
    before = contents(tmp_path / "run")
    for name in deleted:
        (tmp_path / "run" / name).unlink(missing_ok=True)
    capsys.readouterr()
    assert trained() == []
    assert contents(tmp_path / "run") == before
    said = capsys.readouterr().err
    assert "was trained before" in said and all((name in said) == (name in deleted) for name in DECLARED)


def test_once_the_next_step_has_begun_outputs_that_are_deleted_are_made_anew(trained: Fit, tmp_path: Path) -> None:
    trained()
    finished.let_go(tmp_path / "run" / run_files.RECORD)
    assert trained() == []
    delete_outputs(tmp_path / "run")
    assert trained() == [0, 1]


def test_without_a_workflow_nothing_is_kept_and_a_repeated_command_trains_nothing(trained: Fit, tmp_path: Path) -> None:
    assert trained(managed=False) == [0, 1]
    assert (tmp_path / "run" / run_files.LAST).stat().st_nlink == 1
    before = contents(tmp_path / "run")
    assert trained(managed=False) == []
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("changed", [{"code": "1" * 16}, {"learning_rate": 0.01}, {"seed": 1}], ids=str)
def test_a_finished_run_of_other_code_or_settings_is_not_used(
    trained: Fit, tmp_path: Path, changed: dict[str, Any]
) -> None:
    trained()
    first = json.loads((tmp_path / "run" / run_files.RECORD).read_text())
    delete_outputs(tmp_path / "run")
    assert trained(**changed) == [0, 1]
    again = json.loads((tmp_path / "run" / run_files.RECORD).read_text())
    assert (again["cell"], again["code"]) != (first["cell"], first["code"])


def test_a_damaged_file_is_trained_anew_when_asked(trained: Fit, tmp_path: Path) -> None:
    """One flipped bit, in both names of the file."""
    trained()
    path = tmp_path / "run" / run_files.LAST
    before = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([before[-1] ^ 1]))
    assert trained() == [0, 1]
    assert path.read_bytes() == before


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (outputs, "save_weights"),
        (outputs, "write_rows"),
        (outputs, "write_record"),
        (finished, "write_sealed"),
        (finished.Finished, "place"),
        (finished, "link"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("deleted", [True, False], ids=["outputs deleted", "outputs left"])
def test_killed_amid_the_last_writes(
    trained: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digests: Callable[[Path], dict[str, Any]],
    place: Any,
    name: str,
    deleted: bool,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, name, killed)
        trained()
    run = tmp_path / "run"
    assert not (run / run_files.RECORD).exists()
    if deleted:
        delete_outputs(run)
    assert trained() == []
    found, record = digests(run), FinishedRun.open(run)
    assert all(record.verified(name) for name in record.record.files)
    assert not (run / run_files.STATE).exists()
    # As trained without a break.
    (run / run_files.RECORD).unlink()
    finished.forget(run / run_files.RECORD)
    assert trained() == [0, 1] and digests(run) == found


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("SIGTERM", "before the first epoch"),
        ("SIGTERM", "after an epoch"),
        ("SIGUSR1", "after an epoch"),
        ("SIGHUP", "after an epoch"),
        ("SIGINT", "amid the last writes"),
        ("SIGTERM", "amid the last writes"),
        ("SIGUSR1", "at the end"),
    ],
)
def test_a_signal_keeps_what_is_finished(
    trained: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    moment: str,
) -> None:
    place, function, after, left = {
        "before the first epoch": (checkpoint, "resume", False, [0, 1]),
        "after an epoch": (checkpoint, "save", True, [1]),
        "amid the last writes": (outputs, "save_weights", True, []),
        "at the end": (finished.Finished, "place", True, []),
    }[moment]
    original = getattr(place, function)

    def asked_to_end(*arguments: Any, **options: Any) -> Any:
        if after:
            original(*arguments, **options)
        os.kill(os.getpid(), getattr(signal, name))
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(place, function, asked_to_end)
        console.finished(trained)
    assert stop.value.code == 128 + getattr(signal, name)
    assert f"stopped by {name}" in capsys.readouterr().err
    assert not [path for path in (tmp_path / "run").glob(".*") if path.suffix in (".pt", ".safetensors")]
    assert trained() == left
    assert FinishedRun.open(tmp_path / "run").verified(run_files.LAST)


def test_each_start_has_a_line_of_its_own(
    trained: Fit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(outputs, "write", killed)
        trained()
    assert "start 1: " in capsys.readouterr().err
    trained()
    said = capsys.readouterr().err
    assert "start 2: " in said and "resuming after epoch 2 of 2" in said
