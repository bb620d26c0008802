"""Whether a run is what would be made here: same parameters, same code, same data, and every file as it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError
from ews.methods.registry import METHODS
from ews.pipeline.artifacts import names
from ews.pipeline.artifacts.evaluation import Result, read_arrays, read_result
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate import uses as measured_by
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.spec import Options
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.naming import canonical, differences
from ews.pipeline.train import uses as trained_by


@dataclass(frozen=True)
class Checksums:
    """Of the data here: of a dataset, and of its extra images; None: there are none here."""

    data: str | None
    extra_data: str | None


def training(
    run: FinishedRun, planned: Cell, *, checksums: Checksums, teachers: Mapping[str, Record | None]
) -> Iterator[str]:
    """Yield what is wrong with a training run; nothing where it can be placed.

    Args:
        run: as it was brought.
        planned: the cell that params.yaml plans there.
        checksums: of the data here.
        teachers: record by run of what lies here or is to be placed; None: neither.
    """
    record = run.record
    if canonical(record.cell) != canonical(planned):
        changed = differences(flatten(record.cell), flatten(planned))
        listed = ", ".join(f"{key}={value}" for key, value in changed.items()) or "its keys"
        yield f"other parameters than params.yaml plans: {listed}"
        return
    code = trained_by.code(planned)
    if record.code != code:
        yield f"trained by other code (fingerprint {record.code}, here {code}); use the same revision on both"
    specs = [METHODS[name] for name in planned.method.names]
    wanted: dict[str, tuple[str | None, str | None, str]] = {}
    wanted["data"] = (record.data, checksums.data, f"{planned.dataset}/dataset.json")
    if any(spec.extra_data for spec in specs):
        wanted["extra_data"] = (record.extra_data, checksums.extra_data, f"{planned.dataset}-extra/extra.json")
    for key, (brought, here, file) in wanted.items():
        if brought != here:
            there = here or f"nothing: make it first, `snakemake --cores 1 data/{file}`"
            yield f"{key} of checksum {brought}, here {there}"
    needed = [names.LAST, names.EPOCHS, *(log for spec in specs for log in spec.logs)]
    yield from (f"{name}: not among the files that are vouched for" for name in needed if not run.has(name))
    yield from _whole(run)
    reserved = {names.RECORD, *(name for kind in EVALUATIONS for name in (names.result(kind), names.arrays(kind)))}
    yield from (f"{name}: no file of a training run" for name in record.files if name in reserved or "/" in name)
    for role, teacher in planned.teachers.items():
        known = teachers.get(teacher.run)
        taught = None if known is None else known.files.get(names.WEIGHTS[teacher.weights])
        if taught is None or record.teachers.get(role) != taught:
            yield f"learned from another network as {role!r} than {teacher.run} is here; bring that run along"


def evaluation(
    kind: str, folder: Path, run: FinishedRun, asked: Options, *, published: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong with an evaluation; nothing where it can be placed.

    Args:
        kind: of evaluation.
        folder: of the evaluation, as it was brought.
        run: whose weights it measured, as it was brought.
        asked: what is planned.
        published: checksum by corruption of the published sets here, where these are measured.
    """
    try:
        result: Result[Any, Any] = read_result(folder, EVALUATIONS[kind], run)
        read_arrays(folder, result)
    except EwsError as error:
        yield str(error)
        return
    name = names.result(kind)
    code = measured_by.code(run.record.cell, kind, asked)
    if result.code != code:
        yield f"{name}: measured by other code (fingerprint {result.code}, here {code})"
    if result.options != asked:
        changed = differences(result.options.model_dump(mode="json"), asked.model_dump(mode="json"))
        yield f"{name}: measured with other settings than are planned: {changed}"
    if isinstance(result.result, CorruptionFindings):
        for corruption, checksum in published.items():
            measured = result.result.corruptions.get(corruption)
            if measured is None or measured.sha256 != checksum:
                found = None if measured is None else measured.sha256
                yield f"{name}: {corruption} of checksum {found}, here {checksum}"
    others = sorted(set(result.files) - {names.arrays(kind)})
    yield from (f"{name}: vouches for {file!r}" for file in others)


def _whole(run: FinishedRun) -> Iterator[str]:
    """Yield which files are not those that a record names."""
    for name in run.record.files:
        try:
            run.verified(name)
        except EwsError as error:
            yield str(error)
