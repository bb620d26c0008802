"""What is measured: a finished run's weights, checked against its record, and the test images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ews import files, models
from ews.data.dataset import Dataset
from ews.errors import EwsError
from ews.models.network import Network

RECORD = "record.json"
LAST = "model.safetensors"
BEST = "model-best.safetensors"
RETRAIN = "Train this run again."


@dataclass(frozen=True, eq=False)
class Subject:
    """A run to measure.

    Attributes:
        run: its folder.
        record: the content of its record.json.
        dataset: the data it was trained on.
        test_images: size of the stratified test subset; None for all test images.
        device: where to compute.
        code: fingerprint of the evaluation's code.
        work: folder for finished parts of an evaluation that takes long (:mod:`ews.evaluate.kept`); held by this
            process, and gone once the results are written.
    """

    run: Path
    record: dict[str, Any]
    dataset: Dataset
    test_images: int | None
    device: torch.device
    code: str
    work: Path

    @property
    def indices(self) -> np.ndarray:
        """Sorted int64 [n], which test images count."""
        return self.dataset.test_indices(self.test_images)

    @property
    def labels(self) -> np.ndarray:
        """Their labels, int64 [n]."""
        return np.asarray(self.dataset.test_labels[self.indices])

    def has(self, name: str) -> bool:
        """Say whether the run recorded a file of this name."""
        return name in self.record["files"]

    def network(self, name: str) -> Network:
        """Return the run's network with the weights of the file ``name``, in evaluation mode, on the device.

        Raises:
            EwsError: the file is missing, is not the one that the record names, or does not fit the network.
        """
        path = self.run / name
        if not self.has(name):
            raise EwsError(f"{self.run / RECORD}: names no {name}. {RETRAIN}")
        if not path.is_file():
            raise EwsError(f"{path}: missing, though {RECORD} names it. {RETRAIN}")
        if (got := files.sha256(path)) != self.record["files"][name]:
            raise EwsError(
                f"{path}: damaged, or of another run: its SHA-256 is {got}, {RECORD} says "
                f"{self.record['files'][name]}. {RETRAIN}"
            )
        network = models.build(
            self.record["cell"]["architecture"],
            classes=len(self.dataset.classes),
            mean=self.dataset.mean,
            std=self.dataset.std,
            # Any generator will do, and this one leaves the global one alone: the weights are replaced at once.
            generator=torch.Generator(),
        )
        try:
            network.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError) as error:
            raise EwsError(f"{path}: does not fit the network of {RECORD}: {error} {RETRAIN}") from None
        return network.to(self.device).eval()


def read_record(run: Path) -> dict[str, Any]:
    """Read the record of a finished run.

    Raises:
        EwsError: there is none, or it lacks what an evaluation needs.
    """
    path = run / RECORD
    if not path.is_file():
        raise EwsError(f"{run}: no finished run here ({RECORD} is missing). Train it first, or give its folder.")
    record = files.read_json(path)
    if not isinstance(record, dict) or not {"cell", "data", "files"} <= set(record):
        raise EwsError(f"{path}: not the record of a run; it needs the keys cell, data and files. {RETRAIN}")
    return record


def check_data(run: Path, record: dict[str, Any], dataset: Dataset) -> None:
    """Refuse data other than that which the run was trained on: other test images, or training images among them.

    Raises:
        EwsError: the checksums differ.
    """
    if record["data"] != dataset.checksum:
        raise EwsError(
            f"{run}: was trained on data of checksum {record['data'][:16]}... (dataset "
            f"{record['cell'].get('dataset')!r}), but {dataset.folder} has {dataset.checksum[:16]}.... "
            "Give --data the folder it was trained on, or train it again."
        )
