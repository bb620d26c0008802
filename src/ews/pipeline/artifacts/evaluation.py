"""The two files of an evaluation: its result, JSON that vouches for itself and for the other, per-image arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ews.core.arrays import read_npz
from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.files import atomic, sha256, staged
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluation_specs import EvaluationSpec, Findings, Options

O = TypeVar("O", bound=Options)  # noqa: E741
F = TypeVar("F", bound=Findings)
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
        result: what was found.
    """

    evaluation: str
    options: O
    code: str
    run: str
    dataset: str
    data: str
    files: dict[str, str]
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
        write_sealed(new / name, result.model_copy(update={"files": {path.name: sha256(path)}}))


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
    """Read the per-image arrays of an evaluation.

    Raises:
        EwsError: missing, or not the file that the result vouches for.
    """
    path, vouching = folder / run_files.arrays(result.evaluation), folder / run_files.result(result.evaluation)
    if not path.is_file():
        raise EwsError(f"{path}: missing, though {vouching.name} names it. {reevaluate(vouching)}")
    if result.files.get(path.name) != sha256(path):
        raise EwsError(
            f"{path}: damaged, or of another evaluation: its SHA-256 is not the recorded one. {reevaluate(vouching)}"
        )
    return read_npz(path)


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays as a compressed .npz that loads without pickle; same arrays, same bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name}: an array of objects would be pickled")
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stub takes any key for allow_pickle
