"""Writing what an evaluation found: rows as CSV or JSON, per-image arrays as NPZ."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ews.core import files
from ews.core.errors import EwsError


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as CSV, or a single row as JSON, by the name's ending; floats in full precision.

    Raises:
        EwsError: the ending is neither .csv nor .json.
    """
    check_name(path)
    if path.suffix == ".json":
        (row,) = rows
        files.write_json(path, row)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz that loads without pickle; same arrays, same bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name}: an array of objects would be pickled")
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stub takes any key for allow_pickle


def check_name(path: Path) -> None:
    """Refuse an output's name before the work is done.

    Raises:
        EwsError: the ending is neither .csv nor .json.
    """
    if path.suffix not in (".csv", ".json"):
        raise EwsError(f"--out {path}: must end in .csv or .json.")
