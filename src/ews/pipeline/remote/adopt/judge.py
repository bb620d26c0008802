"""What becomes of each run of a bundle: which of its files are placed, and what is wrong with the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ews.core import files
from ews.core.errors import EwsError
from ews.data import dataset, extra
from ews.pipeline.artifacts import names
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.corrupt.stored import read_record as read_corrupted
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.spec import Options
from ews.pipeline.remote.adopt import checks
from ews.pipeline.remote.adopt.bundle import Files
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import Planned, all_cells, trainings
from ews.pipeline.study.schema import Params


@dataclass
class Verdict:
    """What becomes of a run.

    Attributes:
        refused: why its training is refused, and all evaluations with it; none: it is placed or lies here already.
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


def judge(found: Mapping[str, Files], params: Params, *, data: Path, runs: Path) -> dict[str, Verdict]:
    """Check every run and evaluation.

    Args:
        found: by run its files, as :func:`ews.pipeline.remote.adopt.bundle.unpack` returns them.
        params: the plan.
        data: folder of datasets.
        runs: where runs lie.

    Returns:
        by run what becomes of it; a run comes after those that it learned from.
    """
    entries = all_cells(params)
    cells = trainings(entries.values())
    checksums = {name: _checksums(data / name) for name in {run.split("/")[0] for run in found}}
    verdicts: dict[str, Verdict] = {}
    brought: dict[str, FinishedRun] = {}
    for name in _teachers_first(found, cells):
        own, verdict = found[name], Verdict(there=record_of(runs / name))
        verdicts[name] = verdict
        if name not in cells:
            verdict.refused.append("no study in params.yaml plans it; `ews study list STUDY` names runs")
            continue
        if names.RECORD not in own:
            verdict.refused.append(f"{names.RECORD} is missing: not a finished training run")
            continue
        try:
            run = FinishedRun.open(own[names.RECORD].parent)
        except EwsError as error:
            verdict.refused.append(str(error))
            continue
        teachers: dict[str, Record | None] = {}
        for teacher in cells[name].teachers.values():
            if teacher.run in brought:
                teachers[teacher.run] = brought[teacher.run].record
            else:
                teachers[teacher.run] = _record(runs / teacher.run)
        verdict.refused += checks.training(run, cells[name], checksums=checksums[name.split("/")[0]], teachers=teachers)
        if verdict.refused:
            continue
        if verdict.there not in (None, files.sha256(own[names.RECORD])):
            verdict.refused.append(f"another training run lies in {runs / name}; remove that folder to have this one")
            continue
        brought[name] = run
        if verdict.there is None:
            verdict.place += [*sorted(run.record.files), names.RECORD]
        for planned in entries.values():
            if planned.run == name:
                _evaluations(verdict, own, run, planned, data=data, runs=runs)
    return verdicts


def record_of(run: Path) -> str | None:
    """Return the SHA-256 of a run's record.json; None without one."""
    return files.sha256(run / names.RECORD) if (run / names.RECORD).is_file() else None


def _record(run: Path) -> Record | None:
    """Return the record of a run here; None where there is none, or a damaged one."""
    try:
        return FinishedRun.open(run).record
    except EwsError:
        return None


def _evaluations(verdict: Verdict, own: Files, run: FinishedRun, entry: Planned, *, data: Path, runs: Path) -> None:
    """Check the evaluations of a planned cell that a bundle has, and add their files or what is wrong with them."""
    folder = f"{entry.evaluation}/" if entry.evaluation else ""
    here = runs / entry.run
    for kind in EVALUATIONS:
        name, arrays = f"{folder}{names.result(kind)}", f"{folder}{names.arrays(kind)}"
        if name not in own:
            continue
        asked = entry.options(kind)
        published = _published(entry, asked, data)
        reasons = list(checks.evaluation(kind, run.folder / entry.evaluation, run, asked, published=published))
        place = [arrays, name]
        if not reasons and verdict.there is not None and (here / name).is_file():
            if files.sha256(here / name) != files.sha256(own[name]):
                reasons.append(f"{name}: another one lies here; remove {here / name} to have this one")
            elif (here / arrays).is_file() and files.sha256(here / arrays) == files.sha256(own[arrays]):
                continue
        verdict.without += reasons
        if not reasons:
            verdict.place += place


def _published(entry: Planned, asked: Options, data: Path) -> dict[str, str]:
    """Return the checksums here of the published corrupted sets that a cell is measured on; none for sets made here."""
    if not isinstance(asked, CorruptionOptions) or entry.settings.corrupted.source == "generated":
        return {}
    folder = data / f"{entry.cell.dataset}-c-official"
    found = {}
    for name in asked.names:
        try:
            found[name] = str(read_corrupted(folder, name, {})["sha256"])
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


def _checksums(folder: Path) -> checks.Checksums:
    """Return the checksums of a dataset and of its extra images, of those that are there."""
    data = dataset.load(folder).checksum if (folder / dataset.INFO).is_file() else None
    more = extra.folder_of(folder) / extra.INFO
    return checks.Checksums(data=data, extra_data=files.sha256(more) if more.is_file() else None)
