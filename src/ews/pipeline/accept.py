"""`ews accept STUDY --reason "..."`: finished runs count for the present code, after a check that it trains the same.

A change that does not touch a result - a renamed function, a faster loop - changes the code's fingerprint all the same,
and the workflow would train everything again. Here one run of each kind repeats its first epoch under the present code;
where that gives the same weights, the runs of that kind are re-stamped. Both fingerprints, the reason and the check go
into their records.
"""

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from ews.core.command_line import Parser, Reads, Writes
from ews.core.device import leased
from ews.core.errors import EwsError, unknown
from ews.core.finished import forget
from ews.core.machine import hardware
from ews.data.dataset import load
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.record import Acceptance, Repeated
from ews.pipeline.artifacts.run import FinishedRun, write_record
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import trainings
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.plans import plan_one
from ews.pipeline.study.settings import Settings, add_options
from ews.pipeline.train import training_uses
from ews.pipeline.train.loop import first_epoch

TOLERANCE = 0.01
"""Largest relative difference of the first epoch's loss on CUDA, where bits may differ between runs [choice]."""


@dataclass
class Sorted:
    """The runs of a study.

    Attributes:
        missing: planned and not finished.
        other: trained with other parameters than are planned: not to be accepted.
        current: already of the present code.
        kinds: the rest, by their old and the present fingerprint: runs that the same code trained.
    """

    missing: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    kinds: dict[tuple[str, str], list[FinishedRun]] = field(default_factory=dict)


def sort(cells: Mapping[str, Cell], runs: Path) -> Sorted:
    """Sort a study's runs by what there is to accept.

    Args:
        cells: what is planned, by run folder below ``runs``.
        runs: folder of the runs.

    Raises:
        EwsError: a record is damaged.
    """
    found = Sorted()
    for name, cell in cells.items():
        if not (runs / name / run_files.RECORD).is_file():
            found.missing.append(name)
            continue
        run, code = FinishedRun.open(runs / name), training_uses.code(cell)
        if canonical(run.record.cell) != canonical(cell):
            found.other.append(name)
        elif run.record.code == code:
            found.current.append(name)
        else:
            found.kinds.setdefault((run.record.code, code), []).append(run)
    return found


def repeat(run: FinishedRun, *, data: Path, runs: Path) -> Repeated:
    """Repeat a run's first epoch under the present code and compare it with the recorded one.

    On a CPU the weights must be the same bit for bit; on CUDA the loss must agree within :data:`TOLERANCE`.

    Args:
        run: the finished run.
        data: folder of datasets.
        runs: folder of the runs, in which those lie that it learned from.

    Raises:
        EwsError: it comes out otherwise; nothing is written.
    """
    cell, first = run.record.cell, run.epochs()[0]
    dataset = load(data / cell.dataset)
    run.check_data(dataset)
    with leased(threads=run.record.hardware.threads) as device:
        here = hardware(device, threads=run.record.hardware.threads)
        again = first_epoch(
            cell=cell,
            dataset=dataset,
            device=device,
            teachers={role: runs / teacher.run for role, teacher in cell.teachers.items()},
        )
    exact = here.device == run.record.hardware.device == "cpu"
    same = (
        again.weights == first.weights_sha256
        if exact
        else math.isclose(again.loss, first.train_loss, rel_tol=TOLERANCE)
    )
    if not same:
        what = (
            f"weights {again.weights[:16]}... against {str(first.weights_sha256)[:16]}..."
            if exact
            else f"loss {again.loss:.6g} against {first.train_loss:.6g}, tolerance {TOLERANCE:.0%}"
        )
        advice = (
            f" It was trained on {run.record.hardware.cpu}, and this is {here.cpu}: bits may differ for that; repeat "
            "the check there."
            if exact and here.cpu != run.record.hardware.cpu
            else " The change is one of results: train these runs again."
        )
        raise EwsError(f"{run.folder}: its first epoch comes out otherwise under the present code ({what}).{advice}")
    return Repeated(
        run=str(run.folder.relative_to(runs)),
        weights_sha256=again.weights,
        loss=again.loss,
        exact=exact,
        tolerance=None if exact else TOLERANCE,
        hardware=here,
        torch=torch.__version__,
    )


def stamp(kind: Iterable[FinishedRun], *, code: str, reason: str, check: Repeated) -> None:
    """Write into the records of runs that they count for the code ``code``, from which on, why, and by which check."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for run in kind:
        accepted = Acceptance(before=run.record.code, after=code, reason=reason, date=now, check=check)
        record = run.record.model_copy(update={"code": code, "accepted": (*run.record.accepted, accepted)})
        write_record(run.folder, record)
        # What is kept of the run has the record as it was.
        forget(run.folder / run_files.RECORD)


def accept(
    cells: Mapping[str, Cell],
    *,
    reason: str,
    data: Path,
    runs: Path,
    say: Callable[[str], None],
    check_only: bool = False,
) -> list[Path]:
    """Accept what can be accepted of some planned runs.

    Kinds are checked one after the other, and each is stamped as soon as it has passed.

    Args:
        cells: what is planned, by run folder below ``runs``; those that others learn from included.
        reason: why the change of code touches no result; a sentence.
        data: folder of datasets.
        runs: folder of the runs.
        say: is told what becomes of each kind.
        check_only: stamp nothing.

    Returns:
        the folders of the runs that were stamped.

    Raises:
        EwsError: a kind comes out otherwise, after the others were checked; the message names all of them.
    """
    found = sort(cells, runs)
    counts = {"already of this code": found.current, "not finished": found.missing}
    for what, listed in counts.items():
        if listed:
            say(f"{len(listed)} runs are {what}.")
    for name in found.other:
        say(f"{name}: was trained with other parameters than are planned; not accepted.")
    failed, stamped = [], []
    for (before, code), kind in found.kinds.items():
        # The one with the fewest images and passes is the cheapest to repeat.
        chosen = min(kind, key=lambda run: (run.record.counts["train_images"], str(run.folder)))
        try:
            check = repeat(chosen, data=data, runs=runs)
        except EwsError as error:
            failed.append(str(error))
            continue
        how = "the same weights" if check.exact else f"the same loss within {TOLERANCE:.0%}"
        say(f"{check.run}: first epoch repeated, {how}; code {before} -> {code}, {len(kind)} runs of this kind.")
        if not check_only:
            stamp(kind, code=code, reason=reason, check=check)
            stamped += [run.folder for run in kind]
    if failed:
        raise EwsError("\n".join([f"{len(failed)} kinds are not accepted:", *failed]))
    return stamped


def tell_snakemake(folders: Sequence[Path], settings: Sequence[str] = ()) -> None:
    """Let Snakemake remember the stamped runs as made by the present code, and nothing else with them.

    Args:
        folders: of the runs.
        settings: the options by which Snakemake plans them.

    Raises:
        EwsError: Snakemake refuses; the records are stamped all the same.
    """
    targets = [str(folder / run_files.RECORD) for folder in folders]
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all", "--touch"]
    done = subprocess.run(
        [*command, *settings, "--allowed-rules", "train_cell", "--", *targets],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EwsError(
            f"the records are stamped, but Snakemake could not be told: {done.stderr.strip()[-500:]} Run "
            f"`snakemake --touch --allowed-rules train_cell -- {targets[0]} ...` by hand."
        )


def main(argv: Sequence[str]) -> None:
    """Run ``ews accept``."""
    parser = Parser(prog="ews accept", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="of params.yaml; the runs that it learns from are accepted with it")
    parser.add_argument("--reason", required=True, help="why the change of code touches no result; kept in the records")
    add_options(parser)
    parser.add_argument("--data", type=Reads(), default=Path("data"), help="folder of datasets (default: %(default)s)")
    parser.add_argument("--runs", type=Writes(), default=Path(run_files.RUNS), help="(default: %(default)s)")
    parser.add_argument("--check-only", action="store_true", help="repeat the first epochs, and stamp nothing")
    arguments = parser.parse_args(argv)
    if not arguments.reason.strip():
        raise EwsError("--reason: empty; say in a sentence why the change of code touches no result.")
    settings = Settings.of(arguments)
    with settings.planning() as params:
        if arguments.study not in params.studies:
            raise unknown("study", arguments.study, params.studies)
        cells = trainings(plan_one(params, arguments.study).cells(arguments.study))
    folders = accept(
        cells,
        reason=arguments.reason.strip(),
        data=arguments.data,
        runs=arguments.runs,
        say=lambda text: print(text, flush=True),
        check_only=arguments.check_only,
    )
    if folders and Path(".snakemake").is_dir():
        tell_snakemake(folders, settings.snakemake)
    print(f"{len(folders)} runs accepted.", flush=True)
