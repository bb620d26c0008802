"""A finished evaluation is not made again: killed at its end, its outputs deleted, or the command repeated."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ews.core import console, finished
from ews.core.documents import write_sealed
from ews.core.files import sha256
from ews.pipeline.artifacts import evaluation as files
from ews.pipeline.evaluate import evaluate_command, evaluation, predict
from ews.pipeline.evaluate.corruption import corruption as corruption_module

KINDS = ["clean", "corruption"]
Measure = Callable[..., int]


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def measured(clean: Any, corruption: Any, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Return a function that gives the command of a kind, and says how many times it measured: 0 or 1."""
    making = evaluation.Making

    def call(kind: str, *more: str, managed: bool = True, names: tuple[str, ...] = ("fog", "snow")) -> int:
        begun: list[object] = []

        def counted(**options: Any) -> evaluation.Making:
            begun.append(options)
            return making(**options)

        words = (*more, *(["--managed"] if managed else []))
        with monkeypatch.context() as patch:
            patch.setattr(evaluation, "Making", counted)
            if kind == "clean":
                clean(*words)
            else:
                corruption(*names, more=words)
        return len(begun)

    return call


def outputs(run: Path, kind: str) -> list[Path]:
    return [run / f"{kind}.json", run / f"{kind}.npz"]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_that_are_deleted_are_put_back(
    kind: str, run: Path, measured: Measure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(kind) == 1
    before = [path.read_bytes() for path in outputs(run, kind)]
    for path in outputs(run, kind):
        path.unlink()
    assert measured(kind) == 0
    assert f"was measured before; put back: {kind}.npz, {kind}.json" in capsys.readouterr().err
    assert [path.read_bytes() for path in outputs(run, kind)] == before
    finished.let_go(run / f"{kind}.json")
    assert measured(kind) == 0
    outputs(run, kind)[1].unlink()
    assert measured(kind) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("place", "name", "again"),
    [
        (files, "write_arrays", 1),
        (files, "write_sealed", 1),
        (finished, "write_sealed", 1),
        (finished.Finished, "place", 0),
        (finished, "link", 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_killed_amid_the_last_writes(
    kind: str,
    place: Any,
    name: str,
    again: int,
    run: Path,
    measured: Measure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, name, killed)
        measured(kind)
    assert not outputs(run, kind)[0].exists()
    outputs(run, kind)[1].unlink(missing_ok=True)
    assert measured(kind) == again
    found = [path.read_bytes() for path in outputs(run, kind)]
    assert not list(run.glob(".*.partial"))
    finished.forget(run / f"{kind}.json")
    assert measured(kind) == 1
    assert [path.read_bytes() for path in outputs(run, kind)] == found


def test_without_a_workflow_a_repeated_command_measures_nothing_and_keeps_nothing(run: Path, measured: Measure) -> None:
    assert measured("clean", managed=False) == 1
    assert [path.stat().st_nlink for path in outputs(run, "clean")] == [1, 1]
    assert measured("clean", managed=False) == 0
    outputs(run, "clean")[1].unlink()
    assert measured("clean", managed=False) == 1


@pytest.mark.parametrize("change", ["options", "code", "run", "images", "names", "other images"])
def test_what_was_measured_otherwise_is_not_used(
    change: str,
    run: Path,
    data: Path,
    corrupted: Path,
    measured: Measure,
    write_run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert measured("corruption") == 1
    names, more, expected = ("fog", "snow"), [], 1
    if change == "options":
        more = ["--test-images", "20"]
    elif change == "code":
        monkeypatch.setattr(evaluate_command, "code", lambda *_: "0123456789abcdef")
    elif change == "run":
        write_run(run, data, shifts={"model.safetensors": 1.0})
    elif change == "names":
        names = ("fog",)
    else:
        name = "fog" if change == "images" else "frost"
        expected = int(change == "images")
        np.save(corrupted / f"{name}.npy", 255 - np.load(corrupted / f"{name}.npy"))
        write_sealed(corrupted / f"{name}.json", {"sha256": sha256(corrupted / f"{name}.npy"), "source": "a test"})
    assert measured("corruption", *more, names=names) == expected


def test_the_next_step_of_a_workflow_lets_go_of_what_it_reads(run: Path, corrupted: Path, measured: Measure) -> None:
    """Of the run and of the corrupted sets that it measures; without a workflow, and of other sets, nothing."""

    def keep(out: Path) -> Path:
        content = out.read_bytes()
        with finished.finishing(out, {}, keep=True) as folder:
            (folder / out.name).write_bytes(content)
        return out

    outs = [keep(run / "record.json"), keep(corrupted / "fog.npy"), keep(corrupted / "frost.npy")]
    measured("corruption", managed=False)
    assert [out.stat().st_nlink for out in outs] == [2, 2, 2]
    measured("corruption")
    assert [out.stat().st_nlink for out in outs] == [1, 1, 2]


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP", "SIGINT"])
def test_a_signal_keeps_what_is_measured(
    name: str, run: Path, corruption: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given twice, amid the third of ten parts."""
    blocks: list[object] = []

    def asked_to_end(*arguments: Any, **options: Any) -> Any:
        blocks.append(arguments)
        if len(blocks) == 3:
            os.kill(os.getpid(), getattr(signal, name))
            os.kill(os.getpid(), signal.SIGTERM)
        return predict.predict_batches(*arguments, **options)

    monkeypatch.setattr(corruption_module, "predict_batches", asked_to_end)
    with pytest.raises(SystemExit) as stop:
        console.finished(lambda: corruption("fog", "snow"))
    assert stop.value.code == 128 + getattr(signal, name)
    assert f"stopped by {name}" in capsys.readouterr().err
    assert len(list((run / ".corruption.json.partial").glob("*.npz"))) == 2
    corruption("fog", "snow")
    assert len(blocks) == 3 + 8 and not (run / ".corruption.json.partial").exists()
