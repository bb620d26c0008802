"""What becomes of each run of a bundle: which of its files are placed, and what is wrong with the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ews.core import files
from ews.core.documents import read_sealed
from ews.core.errors import EwsError
from ews.data import dataset, extra
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, is_whole, read_arrays, read_result
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.corrupt.stored import SetRecord
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionSection
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import EvaluationSpec, section_of
from ews.pipeline.remote.adopt import checks
from ews.pipeline.remote.adopt.bundle import Files
from ews.pipeline.remote.adopt.checks import files_of
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import trainings
from ews.pipeline.study.planned import GENERATED, Planned
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params


@dataclass
class Verdict:
    """What becomes of a run.

    Attributes:
        refused: why its training run is refused, and all evaluations with it; none: it is placed or lies here already.
        without: why some of its evaluations are refused.
        place: the names of its files to put in their places, in this order.
        there: the SHA-256 of the record.json that lies here, None without one.
    """

    refused: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    there: str | None = None

    @property
    def reasons(self) -> list[str]:
        """All that is wrong with the run."""
        return [*self.refused, *self.without]


def judge(
    found: Mapping[str, Files], params: Params, *, data: Path, runs: Path, weights: bool = True
) -> dict[str, Verdict]:
    """Check every run and evaluation.

    Args:
        found: by run its files, as :func:`ews.pipeline.remote.adopt.bundle.unpack` returns them.
        params: the plan.
        data: folder of datasets.
        runs: where runs lie.
        weights: whether a run without its weights is refused.

    Returns:
        by run what becomes of it; a run comes after those that it learned from.
    """
    entries = all_cells(params)
    cells = trainings(entries.values())
    checksums = {name: _checksums(data / name) for name in {cells[run].dataset for run in found if run in cells}}
    verdicts: dict[str, Verdict] = {}
    for name in _teachers_first(found, cells):
        own, verdict = found[name], Verdict(there=record_of(runs / name))
        verdicts[name] = verdict
        if name not in cells:
            verdict.refused.append("no study in params.yaml plans it; `ews study list STUDY` names runs")
            continue
        try:
            run = _brought(own)
        except EwsError as error:
            verdict.refused.append(f"{run_files.RECORD} is missing or not one: no finished training run: {error}")
            continue
        teachers = {
            teacher.run: _taught(teacher.run, found, verdicts, runs) for teacher in cells[name].teachers.values()
        }
        verdict.refused += checks.training(
            run, cells[name], checksums=checksums[cells[name].dataset], teachers=teachers, weights=weights
        )
        if verdict.refused:
            continue
        if verdict.there not in (None, files.sha256(own[run_files.RECORD])):
            verdict.refused.append(f"another training run lies in {runs / name}; remove that folder to have this one")
            continue
        if verdict.there is None:
            verdict.place += [*(name for name in sorted(run.record.files) if name in own), run_files.RECORD]
        else:
            # Its records may have come without its weights.
            verdict.place += [
                file for file in sorted(run.record.files) if file in own and not (runs / name / file).is_file()
            ]
        for planned in entries.values():
            if planned.run == name:
                _evaluations(verdict, own, run, planned, data=data, runs=runs)
    return verdicts


def record_of(run: Path) -> str | None:
    """Return the SHA-256 of a run's record.json; None without one."""
    return files.sha256(run / run_files.RECORD) if (run / run_files.RECORD).is_file() else None


def _taught(run: str, found: Mapping[str, Files], verdicts: Mapping[str, Verdict], runs: Path) -> Record | None:
    """Return the record of a run that another one learned from: brought along, or lying here; None without one."""
    brought = run in verdicts and not verdicts[run].refused
    try:
        return (_brought(found[run]) if brought else FinishedRun.open(runs / run)).record
    except EwsError:
        return None


def _brought(own: Files) -> FinishedRun:
    """Return a run as it was brought.

    Raises:
        EwsError: it has no record, or it is something else, or was changed.
    """
    if run_files.RECORD not in own:
        raise EwsError("there is none")
    return FinishedRun.open(own[run_files.RECORD].parent)


def _evaluations(verdict: Verdict, own: Files, run: FinishedRun, entry: Planned, *, data: Path, runs: Path) -> None:
    """Check the evaluations of a planned cell that a bundle has, and add their files or what is wrong with them."""
    folder = f"{entry.evaluation}/" if entry.evaluation else ""
    for kind, spec in EVALUATIONS.items():
        name = f"{folder}{run_files.result(kind)}"
        if name not in own:
            continue
        published = _published(entry, data) if spec.stored else {}
        asked = entry.options(kind)
        reasons = list(checks.evaluation(kind, run.folder / entry.evaluation, run, asked, published=published))
        place = files_of(kind, folder)
        here = runs / entry.run
        if not reasons and verdict.there is not None and (here / name).is_file():
            if files.sha256(here / name) != files.sha256(own[name]):
                reasons.append(f"{name}: another one lies here; remove {here / name} to have this one")
            elif _nothing_new(here / entry.evaluation, run.folder / entry.evaluation, spec, run):
                continue
        verdict.without += reasons
        if not reasons:
            verdict.place += place


def _nothing_new(here: Path, brought: Path, spec: EvaluationSpec[Any, Any, Any], run: FinishedRun) -> bool:
    """Say whether an evaluation's arrays here are good, and all of them if all were brought."""
    result: Result[Any, Any] = read_result(brought, spec, run)
    name = run_files.arrays(spec.name)
    try:
        read_arrays(here, result)
    except EwsError:
        return False
    return is_whole(here / name, result) or not is_whole(brought / name, result)


def _published(entry: Planned, data: Path) -> dict[str, str]:
    """Return the checksums here of the published corrupted sets that a cell is measured on; none for sets made here."""
    if entry.settings.corrupted.source == GENERATED:
        return {}
    folder = data / f"{entry.cell.dataset}-c-official"
    found = {}
    for name in section_of(entry.settings, "corruption", CorruptionSection).names:
        try:
            found[name] = read_sealed(folder / f"{name}.json", SetRecord, remedy="").sha256
        except EwsError:
            found[name] = f"nothing: make it first, `snakemake --cores 1 {folder / name}.npy`"
    return found


def _teachers_first(found: Iterable[str], cells: Mapping[str, Cell]) -> list[str]:
    """Return the runs so that each comes after those of them that it learned from."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for teacher in cells[name].teachers.values() if name in cells else ():
            if teacher.run in runs:
                add(teacher.run)
        ordered.setdefault(name)

    runs = set(found)
    for name in sorted(runs):
        add(name)
    return list(ordered)


def _checksums(folder: Path) -> dict[str, str]:
    """Return the checksums of a dataset and of its extra images, of those that are there."""
    found = {}
    if (folder / dataset.INFO).is_file():
        found["data"] = dataset.load(folder).checksum
    if (extra.folder_of(folder) / extra.INFO).is_file():
        found["extra_data"] = files.sha256(extra.folder_of(folder) / extra.INFO)
    return found
