"""Place runs that were made elsewhere: ``python -m ews.adopt runs.tar``.

Each is checked against params.yaml, this code and this data first: parameters, fingerprints, checksums of the data and
of every file. If any run is refused, nothing is placed, unless ``--skip`` says to leave those out. The same holds for
evaluations, run by run. What lies here already is kept: the same run is passed over, another one is refused.
"""

import argparse
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ews.train.uses
from ews import files
from ews.adopt import checks
from ews.adopt.bundle import Files, unpack
from ews.adopt.checks import EVALUATIONS, RECORD, read_object
from ews.data import dataset, extra
from ews.errors import EwsError, run
from ews.study.cells import Planned, all_cells, trainings
from ews.study.measuring import options
from ews.study.params import load
from ews.study.schema import Params


@dataclass
class Verdict:
    """What becomes of a run.

    Attributes:
        reasons: why it is refused; none: it is placed.
        place: the names of its files to put in their places, in this order.
        there: whether its training lies here already.
    """

    reasons: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    there: bool = False


def main(argv: list[str] | None = None) -> None:
    """Parse the command line (None: the process's own), check, place and say what became of each run."""
    parser = argparse.ArgumentParser(
        prog="python -m ews.adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="tar (gz, bz2, xz), zip or folder with .../dataset/.../seedK/ in it")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the plan (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of datasets (default: %(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="where runs lie (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="only say what would be placed")
    parser.add_argument("--skip", action="store_true", help="place the others where some are refused")
    arguments = parser.parse_args(argv)
    params = load(arguments.params)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that files can be moved, and hidden, so that nothing takes it for a run.
    with tempfile.TemporaryDirectory(prefix=".adopt-", dir=arguments.runs) as folder:
        found = unpack(arguments.source, Path(folder))
        verdicts = judge(found, params, data=arguments.data, runs=arguments.runs)
        refused = [run for run, verdict in verdicts.items() if verdict.reasons]
        for name in refused:
            print(f"{name}: refused:")
            print("\n".join(f"  {reason}" for reason in verdicts[name].reasons))
        if refused and not arguments.skip:
            raise EwsError(
                f"{len(refused)} of {len(found)} runs are refused, so nothing was placed. Mend them, or --skip them."
            )
        for name, verdict in verdicts.items():
            if verdict.reasons:
                continue
            if not arguments.check:
                put(found[name], verdict.place, arguments.runs / name)
            what = f"{len(verdict.place)} files {'to place' if arguments.check else 'placed'}"
            print(f"{name}: {what}{'; its training lies here already' if verdict.there else ''}")
    if refused:
        raise EwsError(f"{len(refused)} of {len(found)} runs are refused; the others are placed.")


def judge(found: Mapping[str, Files], params: Params, *, data: Path, runs: Path) -> dict[str, Verdict]:
    """Check every run and evaluation.

    Args:
        found: by run its files, as :func:`ews.adopt.bundle.unpack` returns them.
        params: the plan.
        data: folder of datasets.
        runs: where runs lie.

    Returns:
        by run what becomes of it; a run comes after those that it learned from.
    """
    entries = all_cells(params)
    cells = trainings(entries.values())
    checksums = {name: _checksums(data / name) for name in {run.split("/")[0] for run in found}}
    records = {run: read_object(own.get(RECORD)) for run, own in found.items()}
    verdicts: dict[str, Verdict] = {}
    for name in _teachers_first(found, cells):
        own, verdict = found[name], Verdict()
        verdicts[name] = verdict
        if name not in cells:
            verdict.reasons.append("no study in params.yaml plans it; `python -m ews.study list STUDY` names runs")
            continue
        teachers = {
            entry["run"]: records.get(entry["run"]) or read_object(runs / entry["run"] / RECORD)
            for entry in ews.train.uses.teachers(cells[name]).values()
        }
        verdict.reasons += checks.training(
            name, own, cells[name], checksums=checksums[name.split("/")[0]], teachers=teachers
        )
        if RECORD not in own or verdict.reasons:
            continue
        here = runs / name / RECORD
        verdict.there = here.is_file() and files.sha256(here) == files.sha256(own[RECORD])
        if here.is_file() and not verdict.there:
            verdict.reasons.append(f"another training lies in {here.parent}; remove it to have this one")
        if not verdict.there:
            verdict.place += [*sorted((records[name] or {})["files"]), RECORD]
        for entry in entries.values():
            if entry.run == name:
                _evaluations(verdict, own, entry, params, runs)
    return verdicts


def _evaluations(verdict: Verdict, own: Files, entry: Planned, params: Params, runs: Path) -> None:
    """Check the evaluations of a planned cell that a bundle has, and add their files or what is wrong with them."""
    folder = f"{entry.evaluation}/" if entry.evaluation else ""
    for kind, name in EVALUATIONS.items():
        if f"{folder}{name}" not in own:
            continue
        reasons = list(checks.evaluation(kind, own, folder, entry.cell, options(params, entry, kind)))
        verdict.reasons += reasons
        if not reasons and not (verdict.there and (runs / entry.run / folder / name).is_file()):
            verdict.place += checks.files_of(kind, own, folder)


def put(own: Files, names: Iterable[str], run: Path) -> None:
    """Move files to their places, atomically each, all newer than what they were made from and than one another.

    Args:
        own: the copies by name.
        names: which, in order: a record after what it vouches for.
        run: the run's folder.
    """
    with files.exclusive(run):
        for name in names:
            target = run / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic(target) as temporary:
                own[name].replace(temporary)
            os.utime(target)


def _teachers_first(found: Iterable[str], cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the runs so that each comes after those of them that it learned from."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for entry in ews.train.uses.teachers(cells[name]).values() if name in cells else ():
            if entry["run"] in runs:
                add(entry["run"])
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


if __name__ == "__main__":
    run(main)
