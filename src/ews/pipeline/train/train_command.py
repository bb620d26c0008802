"""Command line of the training step: ``ews train --cell @cell.json --data data/digits --out RUN ...``."""

import os
from collections.abc import Sequence
from pathlib import Path

from ews.core.command_line import Parser, Reads, ReadsText, Writes
from ews.core.device import leased
from ews.core.errors import EwsError
from ews.core.fingerprint import check_fingerprint
from ews.core.finished import MANAGED
from ews.core.option_types import THREADS, WORKERS
from ews.data.dataset import load
from ews.pipeline.artifacts import run_files
from ews.pipeline.study.cell import read_cell
from ews.pipeline.train import training_uses
from ews.pipeline.train.loop import fit


def main(argv: Sequence[str]) -> None:
    """Parse the command line and train."""
    parser = Parser(prog="ews train", description=__doc__)
    parser.add_argument("--cell", required=True, type=ReadsText("@(.+)"), help="resolved parameters as JSON, or @FILE")
    parser.add_argument("--data", required=True, type=Reads(), help="dataset folder")
    parser.add_argument(
        "--out", required=True, type=Writes(files=(*run_files.TRAINED, f"{run_files.STATE}*")), help="run folder"
    )
    parser.add_argument("--fingerprint", help="code fingerprint from planning; refused if the code has changed")
    parser.add_argument("--threads", required=True, type=THREADS, help="CPU threads")
    parser.add_argument(
        "--workers",
        type=WORKERS,
        help="processes that augment (default: with CUDA one per usable core, else none); no effect on results",
    )
    parser.add_argument(
        "--teacher",
        type=ReadsText("[^=]+=(.+)"),
        action="append",
        default=[],
        metavar="ROLE=RUN",
        help="folder of the finished run that plays a role in the cell's method; once for each role",
    )
    parser.add_argument("--managed", action="store_true", help=MANAGED)
    arguments = parser.parse_args(argv)
    cell = read_cell(arguments.cell)
    code = training_uses.code(cell)
    check_fingerprint(arguments.fingerprint, code, where=arguments.out)
    with leased(threads=arguments.threads) as device:
        # On a CPU the workers would take the cores from the network.
        automatic = len(os.sched_getaffinity(0)) if device.type == "cuda" else 0
        fit(
            cell=cell,
            dataset=load(arguments.data),
            out=arguments.out,
            code=code,
            device=device,
            threads=arguments.threads,
            workers=automatic if arguments.workers is None else arguments.workers,
            teachers=read_teachers(arguments.teacher),
            managed=arguments.managed,
        )


def read_teachers(given: list[str]) -> dict[str, Path]:
    """Return the folders that ``--teacher ROLE=RUN`` gives, by role.

    Raises:
        EwsError: not of this form, or twice the same role.
    """
    found: dict[str, Path] = {}
    for text in given:
        role, equals, folder = text.partition("=")
        if not (role and equals and folder):
            raise EwsError(f"--teacher: {text!r} is not of the form ROLE=RUN, as in robust=results/runs/....")
        if role in found:
            raise EwsError(f"--teacher: {role!r} is given twice.")
        found[role] = Path(folder)
    return found
