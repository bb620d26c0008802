"""Command line of the evaluation step: ``python -m ews.evaluate clean --run RUN --data data/digits ...``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ews import planned
from ews.data.dataset import load
from ews.errors import run
from ews.evaluate import REGISTRY
from ews.evaluate.base import Evaluator
from ews.evaluate.output import check_name, write_arrays, write_rows
from ews.evaluate.uses import uses
from ews.files import atomic, sha256, write_json
from ews.fingerprint import fingerprint
from ews.partial import partial
from ews.registry import lookup

# Options that decide where images lie and how many processes make them: no result depends on these.
ANYHOW = {"corrupted", "workers"}
COMMON = {"evaluation", "run", "data", "test_images", "out", "predictions", "threads", "fingerprint"}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure a trained network and write the results."""
    # These bring torch. Worker processes import this module, as the one they were started from, and do without.
    from ews.device import leased
    from ews.evaluate.subject import Subject
    from ews.finished import check_data, read_record

    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m ews.evaluate", description="Measure a trained network.")
    commands = parser.add_subparsers(dest="evaluation", required=True)
    for name in REGISTRY:
        command = commands.add_parser(name)
        _common(command)
        # Only the evaluation in use is imported.
        if name in argv[:1]:
            lookup(REGISTRY, name, kind="evaluation").options(command)
    arguments = parser.parse_args(argv)
    options = {key: value for key, value in vars(arguments).items() if key not in COMMON}

    check_name(arguments.out)
    record = read_record(arguments.run)
    code = fingerprint("ews.evaluate", uses(record["cell"], arguments.evaluation, options))
    planned.check(arguments.fingerprint, code, where=str(arguments.out))
    dataset = load(arguments.data)
    check_data(arguments.run, record, dataset)
    evaluator: Evaluator = lookup(REGISTRY, arguments.evaluation, kind="evaluation")
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
        # What was asked for, and of which code: what `python -m ews.adopt` holds to the plan of another machine.
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


if __name__ == "__main__":
    run(main)
