"""A finished run: its record, and its network with the weights that the record names."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ews import models
from ews.core import files
from ews.core.errors import EwsError
from ews.data.dataset import Dataset
from ews.models.network import Head, Network
from ews.pipeline.study import typed

RECORD = "record.json"
LAST = "model.safetensors"
BEST = "model-best.safetensors"
RETRAIN = "Train this run again."


def read_network(run: Path, record: dict[str, Any], name: str, *, dataset: Dataset, device: torch.device) -> Network:
    """Return a run's network with the weights of the file ``name``, in evaluation mode, on the device.

    Args:
        run: its folder.
        record: the content of its record.json.
        name: :data:`LAST` or :data:`BEST`.
        dataset: the data it was trained on.
        device: where to compute.

    Raises:
        EwsError: the file is missing, is not the one that the record names, or does not fit the network.
    """
    path = run / name
    if name not in record["files"]:
        raise EwsError(f"{run / RECORD}: names no {name}. {RETRAIN}")
    if not path.is_file():
        raise EwsError(f"{path}: missing, though {RECORD} names it. {RETRAIN}")
    if (got := files.sha256(path)) != record["files"][name]:
        raise EwsError(
            f"{path}: damaged, or of another run: its SHA-256 is {got}, {RECORD} says "
            f"{record['files'][name]}. {RETRAIN}"
        )
    # Any generator will do, and this one leaves the global one alone: the weights are replaced at once.
    head = Head(classes=len(dataset.classes), mean=dataset.mean, std=dataset.std, generator=torch.Generator())
    architecture, dynamic = typed.network(record["cell"]["architecture"])
    network = models.build(architecture, head, dynamic=dynamic)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise EwsError(f"{path}: does not fit the network of {RECORD}: {error} {RETRAIN}") from None
    return network.to(device).eval()


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
