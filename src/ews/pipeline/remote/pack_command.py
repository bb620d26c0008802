"""Pack a study's records without its weights: ``ews remote pack STUDY --out records.tar.xz``.

What tables, figures and tuning read of every finished run and trial: records, logs and evaluations, small enough for
Git. ``ews remote adopt --without-weights`` places them in another checkout, which then goes on with the rest.
"""

import argparse
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ews.core.command_line import Parser, Reads, Writes
from ews.core.errors import EwsError, unknown
from ews.core.files import atomic
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, read_arrays, read_result, reduced
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cells import trainings
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.plans import RESULTS, plan_all
from ews.pipeline.study.schema import Params
from ews.pipeline.study.settings import Settings, add_options

COMPRESSION = {".tar": "", ".tar.gz": "gz", ".tar.xz": "xz"}


@dataclass
class Packed:
    """What there is of a study to pack.

    Attributes:
        files: by their names in the archive.
        content: of those that are not packed as they lie there, by their names in the archive.
        runs: folders of the runs that are packed, below that of runs.
        missing: of those that are planned and not finished.
        other: of those that were trained with other parameters than are planned now.
        evaluations: number of those that are packed.
        unmeasured: of those of packed runs that are asked for, and missing or measured with other settings.
    """

    files: dict[str, Path] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    evaluations: int = 0
    unmeasured: int = 0

    def all_content(self) -> dict[str, bytes]:
        """Return every file's content by its name in the archive."""
        return {name: path.read_bytes() for name, path in self.files.items()} | self.content


def main(argv: Sequence[str]) -> None:
    """Parse the command line, pack, and say what was packed."""
    parser = Parser(prog="ews remote pack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="of params.yaml; with it are packed its trials, and the runs that it learns from")
    parser.add_argument(
        "--out",
        type=Writes(beside=("results",)),
        required=True,
        help=".tar.xz (smallest), .tar.gz or .tar",
    )
    parser.add_argument("--match", metavar="REGEX", default="", help="only runs whose folders have this in them")
    add_options(parser)
    parser.add_argument("--runs", type=Reads(), default=Path(run_files.RUNS), help="(default: %(default)s)")
    parser.add_argument("--results", type=Reads(), default=RESULTS, help="with tuned values (default: %(default)s)")
    arguments = parser.parse_args(argv)
    compression_of(arguments.out)
    try:
        match = re.compile(arguments.match)
    except re.error as error:
        raise EwsError(f"--match {arguments.match!r}: no regular expression: {error}.") from None
    with Settings.of(arguments).planning() as params:
        if arguments.study not in params.studies:
            raise unknown("study", arguments.study, params.studies)
        found = collect(params, arguments.study, runs=arguments.runs, results=arguments.results, match=match)
    for name in found.other:
        print(f"{name}: left out: it was trained with other parameters than {arguments.params} plans.")
    if not found.runs:
        raise EwsError(
            f"{arguments.runs}: no finished run of {arguments.study} is here, so there is nothing to pack; "
            f"{len(found.missing)} are planned. `snakemake {arguments.study}` makes them."
        )
    size = pack(found.all_content(), arguments.out)
    print(
        f"{arguments.out}: {len(found.runs)} runs and {found.evaluations} evaluations, {size / 1000:.0f} kB "
        f"({size / 1000 / len(found.runs):.1f} kB a run); {len(found.missing)} runs are not finished, "
        f"{found.unmeasured} evaluations are missing. Elsewhere: "
        f"`ews remote adopt {arguments.out} --without-weights`."
    )


def collect(
    params: Params, study: str, *, runs: Path, results: Path = RESULTS, match: re.Pattern[str] = re.compile("")
) -> Packed:
    """Find the records of a study's finished runs and trials, each file held to the checksum that vouches for it.

    Args:
        params: the plan.
        study: one of its studies; one that is not tuned yet has trials alone.
        runs: folder of the runs.
        results: folder in which `<study>/tuned.yaml` lies.
        match: only runs whose folders have this in them.

    Raises:
        EwsError: a file is damaged or missing, or an evaluation is of an earlier training; the message names it.
    """
    plans = plan_all(params, results)
    trials = [trial.planned for trial in plans.trials.get(study, [])]
    entries = [*plans.studies.get(study, []), *trials]
    found, opened = Packed(), dict[str, FinishedRun]()
    for name, cell in sorted(trainings(entries).items()):
        if not match.search(name):
            continue
        if not (runs / name / run_files.RECORD).is_file():
            found.missing.append(name)
            continue
        run = FinishedRun.open(runs / name)
        if run.record.cell != cell:
            found.other.append(name)
            continue
        opened[name] = run
        found.runs.append(name)
        found.files[_name(name, run_files.RECORD)] = run.folder / run_files.RECORD
        for file in sorted(set(run.record.files) - set(run_files.WEIGHTS.values())):
            found.files[_name(name, file)] = run.verified(file)
    for entry in entries:
        if entry.run in opened:
            _add_evaluations(found, entry, opened[entry.run], runs)
    return found


def pack(files: Mapping[str, bytes], out: Path) -> int:
    """Write files into an archive, atomically: the same files give the same bytes, whenever and by whom.

    Args:
        files: their content by their names in the archive.
        out: the archive; its name says how it is compressed.

    Returns:
        its size in bytes.

    Raises:
        EwsError: a name that says nothing of the kind.
    """
    compression = compression_of(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic(out) as temporary:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name, data in sorted(files.items()):
                # Neither owner nor date: an entry of the tar has zeros for all that is not given.
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        temporary.write_bytes(_compressed(content.getvalue(), compression))
    return out.stat().st_size


def compression_of(out: Path) -> str:
    """Return how an archive of that name is compressed.

    Raises:
        EwsError: the name does not say.
    """
    for suffix, compression in COMPRESSION.items():
        if out.name.endswith(suffix):
            return compression
    raise EwsError(f"--out {out}: the name has to end in {', '.join(COMPRESSION)}, which says how it is compressed.")


def _compressed(data: bytes, compression: str) -> bytes:
    # Only what is asked for: a Python may be built without one of these.
    if compression == "xz":
        import lzma

        return lzma.compress(data)
    if compression == "gz":
        import gzip

        return gzip.compress(data, mtime=0)
    return data


def _add_evaluations(found: Packed, entry: Planned, run: FinishedRun, runs: Path) -> None:
    """Add a cell's evaluations that are as they are asked for."""
    folder = runs / entry.results
    for asked in entry.asked:
        names = (run_files.result(asked.kind), run_files.arrays(asked.kind))
        if _name(entry.results, names[0]) in found.files:
            continue
        if not (folder / names[0]).is_file():
            found.unmeasured += 1
            continue
        result: Result[Any, Any] = read_result(folder, EVALUATIONS[asked.kind], run)
        if result.options != asked.options:
            found.unmeasured += 1
            continue
        arrays = read_arrays(folder, result)
        found.evaluations += 1
        found.files[_name(entry.results, names[0])] = folder / names[0]
        # Nothing is left out of results from before their arrays had checksums of their own.
        if len(reduced(result.arrays)) < len(result.arrays):
            found.content[_name(entry.results, names[1])] = npz(reduced(arrays))
        else:
            found.files[_name(entry.results, names[1])] = folder / names[1]


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as an .npz; not compressed, which is left to the archive."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # the stub takes any key for allow_pickle
    return content.getvalue()


def _name(folder: str, file: str) -> str:
    return f"{run_files.RUNS}/{folder}/{file}"
