"""On a device with a memory of its own every method trains to the CPU's bits, and its steps wait for nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import accelerator_jobs as jobs
from helpers.accelerator import on_accelerator
from helpers.methods import alone

from ews.core.documents import SEAL
from ews.pipeline.evaluate.evaluate_command import main as measure
from ews.pipeline.study.cell import Cell

pytestmark = pytest.mark.slow
MakeCell = Callable[..., Cell]

ALONE = ["at+rst" if name == "rst" else name for name in alone()]
COMBINATIONS = [
    *(pytest.param(name, "standard", id=name) for name in ALONE),
    *(pytest.param(name, "standard", id=name) for name in ("damp+ews", "asam+ews", "trades+awp+ews", "mixacm+ews")),
    pytest.param("ews", "augmix", id="ews-augmix"),
    pytest.param("damp", "augmix", id="damp-augmix"),
    pytest.param("dropout+ews", "autoaugment", id="dropout+ews-autoaugment"),
]


@pytest.mark.parametrize(
    ("job", "refused"),
    [
        (jobs.mixes_devices, "tensors of two devices"),
        (jobs.draws_with_the_wrong_generator, "another device's generator"),
        (jobs.draws_with_its_generator_elsewhere, "another device's generator"),
        (jobs.asks_numpy, "device type tensor to numpy"),
    ],
)
def test_the_accelerator_refuses(job: Callable[..., None], refused: str) -> None:
    with pytest.raises(AssertionError, match=refused):
        on_accelerator(job)


def test_the_accelerator_counts_what_the_host_waits_for() -> None:
    assert sum(on_accelerator(jobs.reads_three_times).values()) == 3


@pytest.mark.parametrize(("method", "augmentation"), COMBINATIONS)
def test_killed_and_started_again_there(
    make_cell: MakeCell,
    train: Callable[..., Path],
    digests: Callable[[Path], dict[str, Any]],
    teachers: Callable[[Cell], dict[str, Path]],
    data: Path,
    tmp_path: Path,
    method: str,
    augmentation: str,
) -> None:
    cell = make_cell(method, augmentation, epochs=2, precision="float32")
    expected = digests(train(cell, tmp_path / "here"))
    for epochs in (1, None):
        on_accelerator(jobs.train, cell, data, tmp_path / "there", teachers(cell), epochs)
    found = digests(tmp_path / "there")
    for one in (expected, found):
        del one["record"]["hardware"]
    assert found == expected


@pytest.mark.parametrize(("method", "augmentation"), COMBINATIONS)
def test_no_step_reads_from_it(
    make_cell: MakeCell,
    teachers: Callable[[Cell], dict[str, Path]],
    data: Path,
    tmp_path: Path,
    method: str,
    augmentation: str,
) -> None:
    reads = []
    for size in (12, 6):
        # Drops no path, which the host would have to know.
        changed = {"ews": {"rounding": "ceil"}}
        cell = make_cell(method, augmentation, epochs=1, precision="float32", batch_size=size, parameters=changed)
        reads.append(on_accelerator(jobs.train, cell, data, tmp_path / str(size), teachers(cell), None))
    few_steps, twice_as_many = reads
    assert twice_as_many == few_steps


def test_evaluated_there(
    make_cell: MakeCell,
    train: Callable[..., Path],
    data: Path,
    tmp_path: Path,
) -> None:
    run = train(make_cell("awnet", epochs=1), tmp_path / "run")
    adaptive = "--epsilon 0.004 --step-size 0.002 --steps 2 --restarts 2 --weights 1 2 --batch-size 4"
    for command in ("clean", f"adaptive {adaptive}"):
        found = []
        for place in ("here", "there"):
            out = tmp_path / place
            names = ["--run", str(run), "--data", str(data), "--out", str(out), "--threads", "1"]
            words, kind = [*command.split(), *names], command.split()[0]
            if place == "here":
                measure(words)
            else:
                on_accelerator(jobs.evaluate, words)
            result = json.loads((out / f"{kind}.json").read_text())
            arrays = dict(np.load(out / f"{kind}.npz", allow_pickle=False))
            for name in ("files", SEAL):
                result.pop(name)
            result["result"].pop("hardware", None)
            found.append((result, {name: array.tolist() for name, array in arrays.items()}))
        assert found[0] == found[1]


def test_attacked_there() -> None:
    on_accelerator(jobs.attacks_alike_by_autoattack)
