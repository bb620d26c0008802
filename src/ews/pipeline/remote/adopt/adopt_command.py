"""Place runs that were made elsewhere: ``ews remote adopt runs.tar``.

Each is checked against params.yaml, this code and this data first: parameters, fingerprints, checksums of the data and
of every file. If any run or evaluation is refused, nothing is placed, unless ``--skip`` says to leave those out. What
lies here already is kept: the same run is passed over, another one is refused. Not while Snakemake runs.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ews.core import files
from ews.core.command_line import Parser, Reads, Writes
from ews.core.errors import EwsError
from ews.core.faults import cannot_write
from ews.pipeline.artifacts import run_files
from ews.pipeline.remote.adopt.bundle import Files, unpack
from ews.pipeline.remote.adopt.judge import Verdict, judge, record_of
from ews.pipeline.study.settings import Settings, add_options

HIDDEN = ".adopt-"  # begins the name of the folder into which a bundle is unpacked


def main(argv: Sequence[str]) -> None:
    """Parse the command line and check, place and say what became of each run."""
    parser = Parser(prog="ews remote adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "source", type=Reads(), help="tar (gz, bz2, xz), zip or folder with .../dataset/.../seedK/ in it"
    )
    add_options(parser)
    parser.add_argument("--data", type=Reads(), default=Path("data"), help="folder of datasets (default: %(default)s)")
    parser.add_argument(
        "--runs", type=Writes(), default=Path("results/runs"), help="where runs lie (default: %(default)s)"
    )
    parser.add_argument("--check", action="store_true", help="only say what would be placed")
    parser.add_argument("--skip", action="store_true", help="leave out what is refused, and place the rest")
    parser.add_argument(
        "--without-weights",
        action="store_true",
        help="place runs whose weights are not in the bundle, too: they count as done, and cannot be measured again",
    )
    parser.add_argument("--placed", type=Writes(), help="file for the names of what was placed, for --cleanup-metadata")
    arguments = parser.parse_args(argv)
    unpacked = _unpacked(arguments.source, None if arguments.check else arguments.runs)
    with Settings.of(arguments).planning() as params, unpacked as (folder, found):
        weights = not arguments.without_weights
        verdicts = judge(found, params, data=arguments.data, runs=arguments.runs, weights=weights)
        wrong = {name: verdict for name, verdict in verdicts.items() if verdict.reasons}
        for name, verdict in wrong.items():
            print(f"{name}: {'refused' if verdict.refused else 'some evaluations are refused'}:")
            # As the bundle has them: where they are unpacked is nobody's business.
            print("\n".join(f"  {reason}" for reason in verdict.reasons).replace(f"{folder}/", ""))
        if wrong and not arguments.skip:
            outcome = "nothing would be placed" if arguments.check else "nothing was placed"
            raise EwsError(f"{len(wrong)} of {len(found)} runs are not as planned, so {outcome}. Mend or --skip them.")
        good = {name: verdict for name, verdict in verdicts.items() if not verdict.refused}
        if not arguments.check:
            put(found, good, arguments.runs)
            if arguments.placed:
                placed = [str(arguments.runs / name / file) for name, verdict in good.items() for file in verdict.place]
                files.write_text(arguments.placed, "".join(f"{path}\n" for path in placed))
        for name, verdict in good.items():
            what = f"{len(verdict.place)} files {'to place' if arguments.check else 'placed'}"
            what += "; its training run lies here already" if verdict.there else ""
            print(f"{name}: {what}{_bare(arguments.runs / name, found[name])}")
    if wrong:
        rest = "would be placed" if arguments.check else "was placed"
        raise EwsError(f"{len(wrong)} of {len(found)} runs are not as planned; what is right of the bundle {rest}.")


def _bare(run: Path, own: Files) -> str:
    """Say of a run that its weights are neither here nor in the bundle."""
    there = run_files.LAST in own or (run / run_files.LAST).is_file()
    return "" if there else "; without weights"


def put(found: Mapping[str, Files], verdicts: Mapping[str, Verdict], runs: Path) -> None:
    """Move files to their places, if no run is being written and none has changed since it was judged.

    Each file is moved atomically, and made newer than those before it; a record comes after what it vouches for, so
    that what a kill leaves is unfinished runs and no damaged ones: the same command resumes.

    Args:
        found: by run the copies of its files.
        verdicts: by run what to place.
        runs: where runs lie.

    Raises:
        EwsError: another process is writing a run, or has written it.
    """
    with ExitStack() as held:
        for name, verdict in verdicts.items():
            held.enter_context(files.exclusive(runs / name))
            if record_of(runs / name) != verdict.there:
                raise EwsError(f"{runs / name}: was written meanwhile; nothing was placed. Run this again.")
        for name, verdict in verdicts.items():
            _put(found[name], verdict.place, runs / name)


def _put(own: Files, names: Iterable[str], folder: Path) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic(target) as temporary:
            own[name].replace(temporary)
        os.utime(target)


@contextlib.contextmanager
def _unpacked(source: Path, runs: Path | None) -> Iterator[tuple[Path, dict[str, Files]]]:
    """Yield the folder and the files of a bundle, unpacked on the disk of ``runs`` to be moved; None: anywhere."""
    if runs is not None:
        runs.mkdir(parents=True, exist_ok=True)
        _sweep(runs)
    # Hidden, so that nothing takes it for a run.
    with tempfile.TemporaryDirectory(prefix=HIDDEN, dir=runs) as folder, files.exclusive(folder):
        try:
            found = unpack(source, Path(folder))
        except OSError as error:
            if error.filename is not None and Path(error.filename).is_relative_to(source):
                raise
            raise cannot_write(runs or Path(folder), error) from None
        yield Path(folder), found


def _sweep(runs: Path) -> None:
    """Remove what killed commands left of bundles."""
    for folder in runs.glob(f"{HIDDEN}*"):
        with contextlib.suppress(EwsError), files.exclusive(folder):
            shutil.rmtree(folder)
