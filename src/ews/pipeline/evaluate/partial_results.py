"""Partial results of an evaluation, on the disk until it is whole, so that a killed one resumes where it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ews.core import machine
from ews.core.arrays import read_npz
from ews.core.errors import EwsError
from ews.pipeline.artifacts.evaluation import write_arrays
from ews.pipeline.evaluate.predict import Predictions
from ews.pipeline.evaluate.subject import Subject

IDENTITY = "identity"


def put(folder: Path, name: str, arrays: Mapping[str, np.ndarray], *, identity: Mapping[str, Any]) -> None:
    """Store a part's arrays as ``<name>.npz``, with everything that they depend on (JSON types)."""
    write_arrays(folder / f"{name}.npz", {**arrays, IDENTITY: np.array(_text(identity))})


def get(folder: Path, name: str, *, identity: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Return a part's arrays; None where there are none, or damaged ones, or they depend on something else."""
    try:
        arrays = read_npz(folder / f"{name}.npz")
    except EwsError:
        return None
    of = arrays.pop(IDENTITY, np.array(""))
    return arrays if str(of) == _text(identity) else None


def identity(subject: Subject) -> dict[str, Any]:
    """Return what every evaluation's partial results depend on, down to the last bit of their arithmetic."""
    return {
        "code": subject.code,
        "data": subject.dataset.checksum,
        "run": subject.run.identity,
        "test_images": subject.test_images,
        "hardware": machine.hardware(subject.device, threads=torch.get_num_threads()).model_dump(),
        "versions": machine.versions(),
    }


def put_predictions(folder: Path, name: str, found: Predictions, *, identity: Mapping[str, Any]) -> None:
    """Store a part's predictions: :func:`put`."""
    put(folder, name, {"prediction": found.prediction, "confidence": found.confidence}, identity=identity)


def predictions(folder: Path, name: str, *, identity: Mapping[str, Any], shape: tuple[int, ...]) -> Predictions | None:
    """Return a part's predictions, each array of ``shape``; None as :func:`get`, or where they have other shapes."""
    arrays = get(folder, name, identity=identity)
    if arrays is None or {key: array.shape for key, array in arrays.items()} != {
        "prediction": shape,
        "confidence": shape,
    }:
        return None
    return Predictions(**arrays)


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True, allow_nan=False)
