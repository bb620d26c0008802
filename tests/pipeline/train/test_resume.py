"""Killed at any moment and started again, a training run ends with the bytes of an undisturbed one."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.methods import alone
from helpers.processes import PROCESSES

from ews.core.faults import TEMPORARY
from ews.data.dataset import Dataset, load
from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluate_command import main as measure
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint
from ews.pipeline.train.train_command import main
from ews.pipeline.train.training import Training
from ews.subnets.search.search_registry import SEARCHES

# One of each kind of step; every other method, and what is combined, in the slow part.
FIRST = ("vanilla", "ews", "trades", "sam", "awnet")
COMBINATIONS = [
    *(pytest.param(name, "standard", id=name, marks=() if name in FIRST else pytest.mark.slow) for name in alone()),
    pytest.param("ews", "augmix", id="ews-augmix"),
    pytest.param("dropout+ews", "autoaugment", id="dropout+ews-autoaugment", marks=pytest.mark.slow),
    pytest.param("at+awp+ews", "standard", id="at+awp+ews", marks=pytest.mark.slow),
    pytest.param("awnet+awp", "augmix", id="awnet+awp-augmix", marks=pytest.mark.slow),
    pytest.param("mixacm+ews", "augmix", id="mixacm+ews-augmix", marks=pytest.mark.slow),
    pytest.param("trades+awp+ews", "standard", id="trades+awp+ews", marks=pytest.mark.slow),
]


def some_time(out: Path) -> bool:
    return True


def a_state_is_being_written(out: Path) -> bool:
    return any(out.glob(f"{TEMPORARY}*/state.pt"))


def a_state_is_there(out: Path) -> bool:
    return (out / "state.pt").is_file()


def the_outputs_are_being_written(out: Path) -> bool:
    return any(out.glob(f"{TEMPORARY}*/model.safetensors")) or (out / "model.safetensors").is_file()


MOMENTS: list[tuple[Callable[[Path], bool], float]] = [
    (some_time, 0.02),
    (a_state_is_there, 0.0),
    (a_state_is_being_written, 0.0),
    (a_state_is_there, 0.05),
    (the_outputs_are_being_written, 0.0),
]


def start(cell: Cell, data: Path, out: Path, teachers: dict[str, Path]) -> Any:
    arguments = ["--cell", cell.model_dump_json(), "--data", str(data), "--out", str(out), "--threads", "1"]
    for role, run in teachers.items():
        arguments += ["--teacher", f"{role}={run}"]
    process = PROCESSES.Process(target=main, args=(arguments,))
    process.start()
    return process


ADAPTIVE = "--epsilon 8/255 --step-size 4/255 --steps 2 --restarts 1 --weights 1 --batch-size 16"


def evaluate(kind: str, run: Path, data: Path, *options: str) -> Any:
    """Measure a finished run by the command that the rules call, and return what it found."""
    places = ["--run", run, "--data", data, "--out", run, "--threads", "1"]
    measure([kind, *map(str, places), *options])
    return read_result(run, EVALUATIONS[kind], FinishedRun.open(run)).result.last


@pytest.mark.parametrize(("method", "augmentation"), COMBINATIONS)
def test_killed_at_any_moment(
    method: str,
    augmentation: str,
    make_cell: Callable[..., Cell],
    data: Path,
    teachers: Callable[[Cell], dict[str, Path]],
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
) -> None:
    cell = make_cell(method, augmentation)
    runs = teachers(cell)
    undisturbed = start(cell, data, tmp_path / "undisturbed", runs)
    undisturbed.join()
    assert undisturbed.exitcode == 0
    out = tmp_path / "killed"
    kills = 0
    for moment, delay in MOMENTS:
        process = start(cell, data, out, runs)
        while process.is_alive() and not moment(out):
            time.sleep(0.0002)
        time.sleep(delay)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        # A fast machine may be done before the last kill; another start would begin anew.
        if process.exitcode == 0:
            break
    else:
        process = start(cell, data, out, runs)
        process.join()
    assert kills >= 2 and process.exitcode == 0
    assert digests(out) == digests(tmp_path / "undisturbed")
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == {".lock", ".record.json.finished"}
    record = json.loads((out / "record.json").read_text())
    assert record["cell"] == cell.model_dump(mode="json") and record["counts"]["starts"] >= 2
    # Its networks are what an evaluation can load and measure, wherever the method changed what the network is.
    clean = evaluate("clean", out, data)
    assert clean.n == len(load(data).test_labels)
    assert 0 <= clean.error <= 100
    if cell.architecture.dynamic is not None:
        found = evaluate("adaptive", out, data, *ADAPTIVE.split())
        assert clean.error <= found.adaptive.error <= 100


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_resumes(
    search: str,
    make_cell: Callable[..., Cell],
    train: Callable[..., Path],
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = make_cell("ews", parameters={"ews": {"search": search, "width": 0.4}})
    undisturbed = train(cell, tmp_path / "undisturbed")
    interrupt_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(cell, tmp_path / "interrupted")
    monkeypatch.undo()
    assert digests(train(cell, tmp_path / "interrupted")) == digests(undisturbed)


@pytest.mark.parametrize("method", ["vanilla", "awnet"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_linear_schedule_resumes(
    method: str,
    epochs: int,
    make_cell: Callable[..., Cell],
    train: Callable[..., Path],
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the warm-up, and in the middle of the fall; AW-Net's weights move by the schedule's share of the rate."""
    schedule = {"schedule": "linear", "milestones": (0.25, 0.75), "gamma": 0.2, "warmup_epochs": 1}
    cell = make_cell(method, learning_rate=0.04, **schedule)
    undisturbed = train(cell, tmp_path / "undisturbed")
    interrupt_after(epochs, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(cell, tmp_path / "interrupted")
    monkeypatch.undo()
    assert digests(train(cell, tmp_path / "interrupted")) == digests(undisturbed)
    found = [epoch.learning_rate for epoch in FinishedRun.open(undisturbed).epochs()]
    assert found == pytest.approx([0.02, 0.04, 0.024, 0.008])


def test_awnet_s_share_of_a_linear_schedule(make_cell: Callable[..., Cell], dataset: Dataset) -> None:
    """1 up to the first milestone, gamma from the second one on, whatever the base rate."""
    cell = make_cell(schedule="linear", milestones=(0.25, 0.75), gamma=0.2, learning_rate=0.03)
    training = Training(cell, dataset, device=torch.device("cpu"), workers=0)
    assert [training.context.schedule(epoch) for epoch in range(4)] == pytest.approx([1.0, 1.0, 0.6, 0.2])


def test_a_resumed_training_goes_on_where_it_stopped(
    make_cell: Callable[..., Cell],
    train: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(make_cell(), tmp_path)
    monkeypatch.undo()
    capsys.readouterr()
    train(make_cell(), tmp_path)
    said = capsys.readouterr().err
    assert "resuming after epoch 3 of 4" in said and "epoch 4/4" in said and "epoch 3/4" not in said
    timing = (tmp_path / "timing.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in timing] == ["start", "1", "1", "1", "2"]
    assert json.loads((tmp_path / "record.json").read_text())["counts"]["starts"] == 2
    assert not (tmp_path / "state.pt").exists()


def interrupt_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the training run be interrupted right after that many checkpoints."""
    save, calls = checkpoint.save, [0]

    def saving(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        calls[0] += 1
        if calls[0] == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", saving)
