"""The two files of an evaluation: its result, JSON that vouches for itself and for the other, per-image arrays."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import Field

from ews.core.arrays import read_npz
from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.files import atomic, sha256, staged
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluation_specs import EvaluationSpec, Findings, Options

CONFIDENCE = "confidence"
"""Begins the names of the arrays of confidences."""

O = TypeVar("O", bound=Options)  # noqa: E741
F = TypeVar("F", bound=Findings)
T = TypeVar("T")
Arrays = Mapping[str, np.ndarray]


def reevaluate(path: Path | str) -> str:
    """Return how to have what stands in a result file measured again, a sentence."""
    return (
        f"To measure again, delete {path}, then give the command as before: "
        "`snakemake`, or `ews evaluate` without a workflow."
    )


class Result(Document, Generic[O, F]):
    """The content of ``<kind>.json``.

    Attributes:
        evaluation: its kind.
        options: everything that decides the result.
        code: fingerprint of the code.
        run: identity of the run that was measured, see :attr:`ews.pipeline.artifacts.record.Record.identity`.
        dataset: name of the data.
        data: its checksum.
        files: SHA-256 of the evaluation's other file by name.
        arrays: SHA-256 of each array in it, of type, shape and values: those that were brought without the others, see
            :func:`reduced`. None in results from before it was kept.
        result: what was found.
    """

    evaluation: str
    options: O
    code: str
    run: str
    dataset: str
    data: str
    files: dict[str, str]
    arrays: dict[str, str] = Field(default={})
    result: F


def content(spec: EvaluationSpec[Any, O, F]) -> type[Result[O, F]]:
    """Return the type of a kind's result file."""
    return Result[spec.options, spec.findings]  # type: ignore[name-defined]


def write_result(folder: Path, result: Result[O, F], arrays: Arrays) -> None:
    """Write both files or none, the one that vouches last.

    Args:
        folder: of the evaluation.
        result: its ``files`` are filled in here.
        arrays: none of objects.
    """
    name = run_files.result(result.evaluation)
    with staged(folder, last=name) as new:
        path = new / run_files.arrays(result.evaluation)
        write_arrays(path, arrays)
        sums = {key: array_sum(array) for key, array in arrays.items()}
        vouching = {"files": {path.name: sha256(path)}, "arrays": sums}
        write_sealed(new / name, result.model_copy(update=vouching))


def read_result(folder: Path, spec: EvaluationSpec[Any, O, F], run: FinishedRun) -> Result[O, F]:
    """Read and check what an evaluation found.

    Args:
        folder: of the evaluation.
        spec: its kind.
        run: whose weights were measured.

    Raises:
        EwsError: missing, changed after it was written, of another kind or version, or of an earlier training.
    """
    path = folder / run_files.result(spec.name)
    found = read_sealed(path, content(spec), remedy=reevaluate(path))
    if found.evaluation != spec.name:
        raise EwsError(f"{path}: is of the evaluation {found.evaluation!r}. {reevaluate(path)}")
    if found.run != run.identity:
        record = run.folder / run_files.RECORD
        raise EwsError(f"{path}: is of an earlier training than {record} describes. {reevaluate(path)}")
    return found


def read_arrays(folder: Path, result: Result[O, F]) -> dict[str, np.ndarray]:
    """Read the per-image arrays of an evaluation; of one that was brought without all of them, those that came.

    Raises:
        EwsError: missing, or neither the file nor the arrays that the result vouches for.
    """
    path, vouching = folder / run_files.arrays(result.evaluation), folder / run_files.result(result.evaluation)
    if not path.is_file():
        raise EwsError(f"{path}: missing, though {vouching.name} names it. {reevaluate(vouching)}")
    if is_whole(path, result):
        return read_npz(path)
    try:
        found = read_npz(path)
    except EwsError:
        found = {}
    sums = {name: array_sum(array) for name, array in found.items()}
    if sums != reduced(result.arrays) or sums == result.arrays:
        raise EwsError(
            f"{path}: damaged, or of another evaluation: its SHA-256 is not the recorded one. {reevaluate(vouching)}"
        )
    return found


def is_whole(path: Path, result: Result[Any, Any]) -> bool:
    """Say whether a file of arrays is the one that the evaluation wrote, and not some of its arrays."""
    return path.is_file() and result.files.get(path.name) == sha256(path)


def reduced(arrays: Mapping[str, T]) -> dict[str, T]:
    """Return of arrays, or of what stands for them, those that reports read: all but the confidences.

    These are four fifths of the bytes.
    """
    return {name: array for name, array in arrays.items() if not name.startswith(CONFIDENCE)}


def array_sum(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's type, shape and values (in C order), 64 hex digits."""
    digest = hashlib.sha256(f"{array.dtype.str} {list(array.shape)}\n".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays as a compressed .npz that loads without pickle; same arrays, same bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name}: an array of objects would be pickled")
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stub takes any key for allow_pickle
