"""Finished parts of an evaluation, kept until it is whole, so that a killed one goes on where it was."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ews.evaluate.output import write_arrays

IDENTITY = "identity"


def put(folder: Path, name: str, arrays: Mapping[str, np.ndarray], *, identity: Mapping[str, Any]) -> None:
    """Keep a part's arrays as ``<name>.npz``, with everything that they depend on (JSON types)."""
    write_arrays(folder / f"{name}.npz", {**arrays, IDENTITY: np.array(_text(identity))})


def get(folder: Path, name: str, *, identity: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Return a part's arrays; None where there are none, or damaged ones, or they depend on something else."""
    try:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None  # none there, or damaged: what a flipped bit in an archive raises depends on where it is
    kept = arrays.pop(IDENTITY, np.array(""))
    return arrays if str(kept) == _text(identity) else None


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True, allow_nan=False)
