"""Whether a run is what would be made here: same parameters, same code, same data, and every file as it was written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError
from ews.methods.method_registry import METHODS
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, read_arrays, read_result
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate import evaluation_uses as measured_by
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.naming import differences
from ews.pipeline.train import training_uses as trained_by

ABSENT = "its weights are not in the bundle; --without-weights places its records alone"


def training(
    run: FinishedRun,
    planned: Cell,
    *,
    checksums: Mapping[str, str],
    teachers: Mapping[str, Record | None],
    weights: bool = True,
) -> Iterator[str]:
    """Yield what is wrong with a training run; nothing where it can be placed.

    Args:
        run: as it was brought.
        planned: the cell that params.yaml plans there.
        checksums: of the data here: ``data`` and, where there are some, ``extra_data``.
        teachers: by run the record of what lies here or is to be placed.
        weights: whether they have to be there; those that are have to be the right ones all the same.
    """
    record = run.record
    if record.cell != planned:
        yield f"other parameters than params.yaml plans: {_changes(record.cell, planned)}"
        return
    code = trained_by.code(planned)
    if record.code != code:
        yield f"trained by other code (fingerprint {record.code}, here {code}); use the same revision on both"
    specs = [METHODS[name] for name in planned.method.names]
    wanted = {"data": (record.data, f"{planned.dataset}/dataset.json")}
    if any(spec.extra_data for spec in specs):
        wanted["extra_data"] = (record.extra_data or "none", f"{planned.dataset}-extra/extra.json")
    for key, (checksum, file) in wanted.items():
        if checksum != checksums.get(key):
            here = checksums.get(key) or f"nothing: make it first, `snakemake --cores 1 data/{file}`"
            yield f"{key} of checksum {checksum}, here {here}"
    needed = (run_files.LAST, run_files.EPOCHS, *(log for spec in specs for log in spec.logs))
    yield from (f"{name}: not among the files that are vouched for" for name in needed if not run.has(name))
    for name in record.files:
        if name in run_files.WEIGHTS.values() and not (run.folder / name).is_file():
            if weights:
                yield f"{name}: {ABSENT}"
            continue
        try:
            run.verified(name)
        except EwsError as error:
            yield str(error)
    reserved = {run_files.RECORD, *(file for kind in EVALUATIONS for file in files_of(kind))}
    yield from (f"{name}: no file of a training run" for name in record.files if name in reserved or "/" in name)
    for role, teacher in planned.teachers.items():
        theirs = teachers.get(teacher.run)
        taught = None if theirs is None else theirs.files.get(run_files.WEIGHTS[teacher.weights])
        if taught is None or record.teachers.get(role) != taught:
            yield f"learned from another network as {role!r} than {teacher.run} is here; bring that run along"


def evaluation(
    kind: str, folder: Path, run: FinishedRun, asked: Options, *, published: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong with an evaluation; nothing where it can be placed.

    Args:
        kind: of evaluation.
        folder: of the evaluation, as it was brought.
        run: whose weights it should have measured.
        asked: what is planned to decide its result.
        published: checksum by corruption of the published sets here, where these are measured.
    """
    name = folder / run_files.result(kind)
    try:
        result: Result[Any, Any] = read_result(folder, EVALUATIONS[kind], run)
        read_arrays(folder, result)
    except EwsError as error:
        yield str(error)
        return
    code = measured_by.code(run.record.cell, kind, asked)
    if result.code != code:
        yield f"{name}: measured by other code (fingerprint {result.code}, here {code})"
    if result.options != asked:
        changed = differences(result.options.model_dump(mode="json"), asked.model_dump(mode="json"))
        yield f"{name}: measured with other settings than are planned: {changed}"
    for corruption, checksum in published.items():
        images = result.result.corruptions.get(corruption)
        measured = None if images is None else images.sha256
        if measured != checksum:
            yield f"{name}: {corruption} of checksum {measured}, here {checksum}"
    yield from (f"{name}: vouches for {file!r}" for file in result.files if file != run_files.arrays(kind))


def files_of(kind: str, folder: str = "") -> list[str]:
    """Return the names of an evaluation's files, the one that vouches last."""
    return [f"{folder}{name}" for name in (run_files.arrays(kind), run_files.result(kind))]


def _changes(cell: Cell, planned: Cell) -> str:
    """Name the values of a cell that are not the planned ones."""
    changed = differences(flatten(cell), flatten(planned))
    return ", ".join(f"{key}={value}" for key, value in changed.items()) or "its names"
