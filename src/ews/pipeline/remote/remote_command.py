"""Train and measure a study on a machine without Snakemake: ``ews remote plan`` and ``ews remote work``.

At home ``plan STUDY --out plan.json``; there, with the same revision of this package and the same data, ``work
plan.json``, as often as it takes: what is done is not done again. Then ``ews remote adopt`` at home
(docs/elsewhere.md).
"""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ews.core.command_line import Parser, Reads, Writes
from ews.core.documents import write_document
from ews.core.errors import EwsError, unknown
from ews.core.option_types import JOBS, THREADS, WORKERS, seconds
from ews.pipeline.remote.tasks import check_places, read
from ews.pipeline.remote.work import work as do


def plan(argv: Sequence[str]) -> None:
    """Run ``ews remote plan``: write what a study asks for."""
    # Only planning needs what reads params.yaml.
    from ews.pipeline.remote.remote_tasks import tasks
    from ews.pipeline.study.settings import Settings, add_options

    parser = _parser("plan", "Write what a study asks for.")
    parser.add_argument("study")
    add_options(parser)
    parser.add_argument("--out", type=Writes(), required=True, help="the plan, JSON")
    arguments = parser.parse_args(argv)
    with Settings.of(arguments).planning() as params:
        if arguments.study not in params.studies:
            raise unknown("study", arguments.study, params.studies)
        write_document(arguments.out, tasks(params, arguments.study))


def work(argv: Sequence[str]) -> None:
    """Run ``ews remote work``: do what a plan lists and is not done."""
    parser = _parser("work", "Do what a plan lists and is not done.")
    parser.add_argument("plan", type=Reads())
    parser.add_argument(
        "--match", type=_pattern, metavar="REGEX", default="", help="only tasks whose names have this in them"
    )
    parser.add_argument("--list", action="store_true", help="only print the tasks' names")
    parser.add_argument("--data", type=Reads(), default=Path("data"), help="folder of datasets (default: %(default)s)")
    parser.add_argument("--runs", type=Writes(), default=Path("results/runs"), help="(default: %(default)s)")
    parser.add_argument(
        "--logs", type=Writes(files=("*.log",)), default=Path("logs/elsewhere"), help="(default: %(default)s)"
    )
    parser.add_argument("--jobs", type=JOBS, default=1, help="tasks at a time; GPUs are shared out among them")
    parser.add_argument("--threads", type=THREADS, default=1, help="of torch, for each task (default: %(default)s)")
    parser.add_argument(
        "--workers",
        type=WORKERS,
        help="that make images, for each task; 0: the task itself; default: all cores shared out",
    )
    parser.add_argument("--seconds", type=seconds, help="end after so long; the next time resumes from there")
    arguments = parser.parse_args(argv)
    tasks = tuple(task for task in read(arguments.plan).tasks if arguments.match.search(task.name))
    if not tasks:
        pattern = arguments.match.pattern
        raise EwsError(f"{arguments.plan}: no task has {pattern!r} (--match) in its name; --list prints all of them.")
    if arguments.list:
        print("\n".join(task.name for task in tasks))
        return
    check_places(tasks, arguments.runs)
    workers = arguments.workers
    if workers is None:
        workers = max(1, len(os.sched_getaffinity(0)) // arguments.jobs)
    places = {"data": arguments.data, "runs": arguments.runs, "threads": arguments.threads, "workers": workers}
    outcome = do(
        tasks,
        places={name: str(value) for name, value in places.items()},
        runs=arguments.runs,
        logs=arguments.logs,
        jobs=arguments.jobs,
        seconds=arguments.seconds,
        say=lambda text: print(text, flush=True),
    )
    print(f"{len(outcome.there)} were done before, {len(outcome.done)} are now.", flush=True)
    left = {"failed": outcome.failed, "not begun for that": outcome.blocked, "unfinished": outcome.unfinished}
    if any(left.values()):
        counts = ", ".join(f"{len(names)} {what}" for what, names in left.items() if names)
        raise EwsError(f"{counts}. The same command resumes; output of each task is in {arguments.logs}.")


def _parser(command: str, description: str) -> Parser:
    return Parser(prog=f"ews remote {command}", description=description)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
