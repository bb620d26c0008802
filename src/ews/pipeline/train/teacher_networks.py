"""The networks of other runs that a training run learns from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ews.core.errors import EwsError
from ews.data.dataset import Dataset
from ews.models.network import Network
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.run_files import WEIGHTS
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.study.cell import Cell, TeacherRun


@dataclass(frozen=True, eq=False)
class TeacherNetwork:
    """A network in evaluation mode, without gradients, and the SHA-256 of its weights."""

    network: Network
    checksum: str


def load(cell: Cell, runs: Mapping[str, Path], dataset: Dataset, device: torch.device) -> dict[str, TeacherNetwork]:
    """Return the teachers that a cell's method names, by role.

    Args:
        cell: the student's resolved parameters, which say of each teacher what it is.
        runs: the teachers' folders by role.
        dataset: what both are trained on.
        device: where the training runs.

    Raises:
        EwsError: other roles are given than are needed, or a run is not finished, is of another architecture,
            augmentation, method or seed than the cell names, learned from other data or has no such weights.
    """
    if set(runs) != set(cell.teachers):
        given = f"{sorted(runs)} given" if runs else "none is given"
        raise EwsError(f"teachers: the cell's method needs {sorted(cell.teachers) or 'none'}, {given}; see --teacher.")
    found = {}
    for role, wanted in cell.teachers.items():
        run = FinishedRun.open(runs[role])
        _check(run.folder, run.record.cell, role, wanted)
        run.check_data(dataset)
        name = WEIGHTS[wanted.weights]
        network = read_network(run, name, dataset=dataset, device=device).requires_grad_(False)
        network.to(memory_format=torch.channels_last)
        found[role] = TeacherNetwork(network, run.record.files[name])
    return found


def _check(run: Path, cell: Cell, role: str, wanted: TeacherRun) -> None:
    """Hold a run's record to what the student's cell says of it, whatever folder it was found in."""
    where = f"{run}: cannot be the teacher {role!r}"
    if cell.architecture != wanted.architecture:
        found, expected = cell.architecture.model_dump(), wanted.architecture.model_dump()
        raise EwsError(f"{where}: its architecture is {found}, the cell expects {expected}.")
    names = {
        "augmentation": (cell.augmentation.name, wanted.augmentation),
        "method": (cell.method.name, wanted.method),
        "seed": (cell.seed, wanted.seed),
    }
    for key, (is_, expected_) in names.items():
        if is_ != expected_:
            raise EwsError(f"{where}: its {key} is {is_}, the cell expects {expected_}, as in {wanted.run}.")
