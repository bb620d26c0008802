"""Command line of the evaluation step: ``ews evaluate clean --run RUN --data data/digits --out FOLDER ...``."""

import os
import sys
from collections.abc import Sequence

from ews.attacks.effort import Effort
from ews.core import finished
from ews.core.command_line import Parser, Reads, Writes
from ews.core.files import sha256
from ews.core.fingerprint import check_fingerprint
from ews.core.option_types import THREADS, WORKERS
from ews.core.partial import partial
from ews.data.dataset import load
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, write_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.corrupt.stored import records_of
from ews.pipeline.evaluate import evaluation_options
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_uses import code


def main(argv: Sequence[str]) -> None:
    """Measure a trained network and write the results."""
    # These bring torch. Worker processes import this module, as the one they were started from, and do without.
    from ews.core.device import leased
    from ews.pipeline.evaluate import partial_results
    from ews.pipeline.evaluate.evaluation import Making
    from ews.pipeline.evaluate.subject import Subject

    parser = Parser(prog="ews evaluate", description="Measure a trained network.")
    commands = parser.add_subparsers(dest="evaluation", required=True)
    for spec in EVALUATIONS.values():
        command = commands.add_parser(spec.name, help=spec.summary)
        _places(command, kind=spec.name, stored=spec.stored)
        evaluation_options.add(command, spec.options)
    arguments = parser.parse_args(argv)
    spec = EVALUATIONS[arguments.evaluation]
    given = {name: value for name, value in vars(arguments).items() if name in spec.options.model_fields}
    asked = evaluation_options.parsed(spec.options, given)
    if spec.attacks is not None:
        Effort().check(asked, where=f"ews evaluate {spec.name}")
    threads, workers = arguments.threads or 1, 1
    if spec.workers:
        workers = arguments.workers
        if workers is None:
            # Beside processes that make images one core is enough for a network.
            workers, threads = arguments.threads or _cores(), 1

    run = FinishedRun.open(arguments.run)
    fingerprint = code(run.record.cell, spec.name, asked)
    check_fingerprint(arguments.fingerprint, fingerprint, where=str(arguments.out))
    dataset = load(arguments.data)
    run.check_data(dataset)
    out = arguments.out / run_files.result(spec.name)
    corrupted = arguments.corrupted if spec.stored else ()
    sets = records_of(corrupted, given.get("names") or ())
    if arguments.managed:
        # That the workflow begins this step says that it has seen the ends of those before.
        finished.let_go(run.folder / run_files.RECORD)
        for path in sets:
            finished.let_go(path.with_suffix(".npy"))
    with partial(out) as work:
        with leased(threads=threads) as device:
            subject = Subject(
                run=run,
                dataset=dataset,
                test_images=asked.test_images,
                device=device,
                code=fingerprint,
                work=work,
            )
            identity = {
                **partial_results.identity(subject),
                "options": asked.model_dump(mode="json"),
                "corrupted": {path.stem: sha256(path) for path in sets},
            }
            before = finished.find(out, identity)
            if before is not None:
                before.place(keep=arguments.managed)
                put_back = f"; put back: {', '.join(before.missing)}" if before.missing else ""
                print(f"{out}: was measured before{put_back}. To measure anew, delete it.", file=sys.stderr, flush=True)
                return
            making = Making(corrupted=corrupted, workers=workers)
            found = spec.implementation()(subject, asked, making)
        result = Result(
            evaluation=spec.name,
            options=asked,
            code=fingerprint,
            run=run.identity,
            dataset=dataset.name,
            data=dataset.checksum,
            files={},
            result=found.findings,
        )
        with finished.finishing(out, identity, keep=arguments.managed) as folder:
            write_result(folder, result, found.arrays)


def _places(parser: Parser, *, kind: str, stored: bool) -> None:
    """Add the options on which no result depends."""
    parser.add_argument("--run", required=True, type=Reads(), help="folder of a finished run")
    parser.add_argument("--data", required=True, type=Reads(), help="folder of the dataset it was trained on")
    files = (run_files.result(kind), run_files.arrays(kind))
    parser.add_argument(
        "--out",
        required=True,
        type=Writes(files=files, beside=("run",)),
        help="folder for the results; errors in percent",
    )
    parser.add_argument("--threads", type=THREADS, help="CPU threads (default: 1)")
    parser.add_argument("--fingerprint", help="code fingerprint from planning; refused if the code has changed")
    parser.add_argument("--managed", action="store_true", help=finished.MANAGED)
    if stored:
        parser.add_argument(
            "--corrupted",
            type=Reads(),
            nargs="*",
            default=[],
            help="folder of <corruption>.npy, <corruption>.json and labels.npy, or these files; "
            "none: the images are corrupted while they are measured, and not stored",
        )
    parser.add_argument(
        "--workers",
        type=WORKERS,
        help="processes that make images, where some are made; 0: this one; changes no result (default: --threads, or "
        "one per core)",
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
