"""Command line of the evaluation step: ``ews evaluate clean --run RUN --data data/digits ...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ews.core.files import atomic, sha256, write_json
from ews.core.fingerprint import check_fingerprint, fingerprint
from ews.core.partial import partial
from ews.data.dataset import load
from ews.pipeline.evaluate.output import check_name, write_arrays, write_rows
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.uses import uses

# Options that decide where images lie and how many processes make them: no result depends on these.
ANYHOW = {"corrupted", "workers"}
COMMON = {"evaluation", "run", "data", "test_images", "out", "predictions", "threads", "fingerprint"}


def main(argv: Sequence[str]) -> None:
    """Measure a trained network and write the results."""
    # These bring torch. Worker processes import this module, as the one they were started from, and do without.
    from ews.core.device import leased
    from ews.pipeline.artifacts.finished import check_data, read_record
    from ews.pipeline.evaluate.subject import Subject

    parser = argparse.ArgumentParser(prog="ews evaluate", description="Measure a trained network.")
    commands = parser.add_subparsers(dest="evaluation", required=True)
    for name, entry in EVALUATIONS.items():
        command = commands.add_parser(name)
        _common(command)
        # Only the evaluation in use is imported.
        if name in argv[:1]:
            entry.implementation().options(command)
    arguments = parser.parse_args(argv)
    options = {key: value for key, value in vars(arguments).items() if key not in COMMON}

    check_name(arguments.out)
    record = read_record(arguments.run)
    code = fingerprint("ews.pipeline.evaluate", uses(record["cell"], arguments.evaluation, options))
    check_fingerprint(arguments.fingerprint, code, where=str(arguments.out))
    dataset = load(arguments.data)
    check_data(arguments.run, record, dataset)
    evaluator = EVALUATIONS[arguments.evaluation].implementation()
    with partial(arguments.out) as work:
        with leased(threads=arguments.threads) as device:
            subject = Subject(
                run=arguments.run,
                record=record,
                dataset=dataset,
                test_images=arguments.test_images,
                device=device,
                code=code,
                work=work,
            )
            found = evaluator.evaluate(subject, **options)
        write_arrays(arguments.predictions, found.arrays)
        # What was asked for, and of which code: what `ews adopt` holds to the plan of another machine.
        asked = {key: value for key, value in options.items() if key not in ANYHOW}
        stamp: dict[str, Any] = {"code": code, "options": {"test_images": arguments.test_images, **asked}}
        stamp["files"] = {arguments.predictions.name: sha256(arguments.predictions)}
        if found.about is None:
            write_rows(arguments.out, [row | stamp for row in found.rows])
            return
        with atomic(arguments.out) as rows:
            write_rows(rows, found.rows)
            stamp["files"][arguments.out.name] = sha256(rows)
            write_json(arguments.out.with_suffix(".json"), {**found.about, **stamp})


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument("--data", required=True, type=Path, help="folder of the dataset it was trained on")
    parser.add_argument("--test-images", type=int, help="size of a fixed stratified subset of the test images")
    parser.add_argument("--out", required=True, type=Path, help="results, .json or .csv; errors in percent")
    parser.add_argument("--predictions", required=True, type=Path, help="per-image predictions and confidences, .npz")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--fingerprint", help="code fingerprint from planning; refused if the code has changed")
