"""The networks of other runs that a training learns from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ews.core.errors import EwsError
from ews.data.dataset import Dataset
from ews.models.network import Network
from ews.pipeline.artifacts.names import WEIGHTS
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.study import typed
from ews.pipeline.study.cell import Cell
from ews.pipeline.train.uses import teachers


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network in evaluation mode, without gradients, and the SHA-256 of its weights."""

    network: Network
    checksum: str


def load(
    cell: Mapping[str, Any], runs: Mapping[str, Path], dataset: Dataset, device: torch.device
) -> dict[str, Teacher]:
    """Return the teachers that a cell's method names, by role.

    Args:
        cell: the student's resolved parameters; a component's ``teachers`` holds, by role, ``run`` (the teacher's
            folder below the folder of runs), ``weights`` (``last``, or ``best``: of the epoch that validation images
            selected), ``architecture``, and the names of its ``augmentation`` and ``method`` and its ``seed``.
        runs: the teachers' folders by role.
        dataset: what both are trained on.
        device: where the training runs.

    Raises:
        EwsError: other roles are given than are needed, or a run is not finished, is of another architecture,
            augmentation, method or seed than the cell names, learned from other data or has no such weights.
    """
    wanted = teachers(cell)
    if set(runs) != set(wanted):
        given = f"{sorted(runs)} given" if runs else "none is given"
        raise EwsError(f"teachers: the cell's method needs {sorted(wanted) or 'none'}, {given}; see --teacher.")
    found = {}
    for role, entry in wanted.items():
        run = FinishedRun.open(runs[role])
        architecture = typed.architecture(entry["architecture"])
        if run.record.cell.architecture != architecture:
            raise EwsError(
                f"{run.folder}: cannot be the teacher {role!r}: its architecture is "
                f"{run.record.cell.architecture.model_dump()}, the cell expects {architecture.model_dump()}."
            )
        _check_names(run.folder, run.record.cell, role, entry)
        run.check_data(dataset)
        name = WEIGHTS[entry["weights"]]
        network = read_network(run, name, dataset=dataset, device=device).requires_grad_(False)
        network.to(memory_format=torch.channels_last)
        found[role] = Teacher(network, run.record.files[name])
    return found


def _check_names(run: Path, cell: Cell, role: str, wanted: Mapping[str, Any]) -> None:
    """Hold a run's record to the names that the student's cell has of it, whatever folder it was found in."""
    found = {"augmentation": cell.augmentation.name, "method": cell.method.name, "seed": cell.seed}
    for key, value in found.items():
        if value != wanted[key]:
            raise EwsError(
                f"{run}: cannot be the teacher {role!r}: its {key} is {value}, the cell expects {wanted[key]}, as in "
                f"{wanted['run']}."
            )
