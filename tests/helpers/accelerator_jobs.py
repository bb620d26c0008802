"""What the tests run on the pretended accelerator, each in a process of its own."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import ews.core.device
from ews.attacks import ensemble
from ews.data.dataset import load
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint
from ews.pipeline.train.loop import fit


class Killed(Exception):
    """Ends a training run before its end."""


def train(
    device: torch.device,
    cell: Cell,
    data: Path,
    out: Path,
    teachers: Mapping[str, Path],
    epochs: int | None,
) -> None:
    """Train a cell on the device, as ``ews train`` does; stop as if killed after so many epochs."""
    saved, save = 0, checkpoint.save

    def save_and_stop(*given: Any, **named: Any) -> None:
        nonlocal saved
        save(*given, **named)
        saved += 1
        if saved == epochs:
            raise Killed

    checkpoint.save = save_and_stop
    torch.set_num_threads(1)
    try:
        fit(
            cell=cell,
            dataset=load(data),
            out=out,
            code="0" * 16,
            device=device,
            threads=1,
            workers=0,
            teachers=teachers,
        )
    except Killed:
        return
    assert epochs is None


def evaluate(device: torch.device, command: Sequence[str]) -> None:
    """Run a command of ``ews evaluate`` on the device."""
    ews.core.device.leased = lambda threads: contextlib.nullcontext(device)  # type: ignore[assignment]
    torch.set_num_threads(1)
    main(command)


def mixes_devices(device: torch.device) -> None:
    """Add tensors of two devices."""
    torch.ones(3, device=device) + torch.ones(3)


def draws_with_the_wrong_generator(device: torch.device) -> None:
    """Draw on the device with a generator of the CPU."""
    torch.rand(3, device=device, generator=torch.Generator().manual_seed(1))


def draws_with_its_generator_elsewhere(device: torch.device) -> None:
    """Draw on the CPU with a generator of the device."""
    torch.rand(3, generator=torch.Generator(device=device).manual_seed(1))


def asks_numpy(device: torch.device) -> None:
    """Ask for the device's memory."""
    torch.ones(3, device=device).numpy()


def reads_three_times(device: torch.device) -> None:
    """Wait for a sum, for the size of a selection and for its values."""
    values = torch.ones(3, device=device)
    float(values.sum())
    values[values > 0].tolist()


def attacks_alike_by_autoattack(device: torch.device) -> None:
    """Attack on the device and here, with few iterations, and compare to the bit."""
    attack = ensemble.AutoAttack

    def quick(*given: Any, **named: Any) -> Any:
        made = attack(*given, **named)
        for part in (made.apgd, made.apgd_targeted):
            part.n_iter = part.n_iter_orig = 5
        made.fab.n_iter, made.square.n_queries = 5, 20
        return made

    ensemble.AutoAttack = quick
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(400, 5)
    )
    images = torch.rand(8, 3, 12, 12)
    labels = network.eval()(images).argmax(1).detach()
    found = [
        ensemble.autoattack(
            network.to(place).requires_grad_(False), images, labels,
            epsilon=2 / 255, version="standard", batch_size=4, seed=0, device=place,
        )
        for place in (torch.device("cpu"), device)
    ]  # fmt: skip
    here, there = found
    assert torch.equal(here.images, there.images)
    assert list(here.robust) == list(there.robust) == ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
    assert all(torch.equal(here.robust[name], there.robust[name]) for name in here.robust)
    # Each attack had something to do.
    assert 0 < int(here.robust["square"].sum()) < len(images)
