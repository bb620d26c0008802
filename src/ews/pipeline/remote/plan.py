"""What a study asks for, as a list of tasks that need nothing but this package and its data."""

from collections.abc import Iterator, Mapping
from typing import Any

from ews.core.fingerprint import fingerprint
from ews.pipeline.artifacts.finished import RECORD
from ews.pipeline.evaluate.uses import uses as measured_by
from ews.pipeline.study.cells import OFFICIAL, Planned, is_measured, plan, trainings
from ews.pipeline.study.measuring import FILES, options, words
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.schema import Params
from ews.pipeline.train.uses import teachers
from ews.pipeline.train.uses import uses as trained_by

Task = dict[str, Any]


def tasks(params: Params, study: str) -> list[Task]:
    """Return the trainings and evaluations of a study, each after what it builds upon.

    A task is ``{"name", "after", "makes", "command"}``: its name, e.g. ``train <run>``; the names of tasks that come
    first; files below the folder of runs, all there when it is done; the module and arguments of its command, in which
    ``{data}``, ``{runs}``, ``{threads}`` and ``{workers}`` stand for what is known there. The command holds the code's
    fingerprint, so that other code refuses it before an hour is spent.

    Evaluations on published corrupted sets are left out: these sets are at home.
    """
    entries = plan(params, study)
    found = list(_trainings(trainings(entries)))
    for kind in params.studies[study].evaluations:
        for entry in entries:
            official = kind == "corruption" and entry.settings["corrupted"]["source"] == OFFICIAL
            if is_measured(kind, entry.cell) and not official:
                found.append(_evaluation(params, entry, kind))
    return found


def _trainings(cells: Mapping[str, Mapping[str, Any]]) -> Iterator[Task]:
    """Yield a task for each cell, those that others learn from first."""
    waiting = dict(cells)
    while waiting:
        ready = [
            run for run, cell in waiting.items() if not {t["run"] for t in teachers(cell).values()} & waiting.keys()
        ]
        for run in ready:
            yield _training(run, waiting.pop(run))


def _training(run: str, cell: Mapping[str, Any]) -> Task:
    command = ["train", "--cell", canonical(cell), "--data", f"{{data}}/{cell['dataset']}"]
    command += ["--out", f"{{runs}}/{run}"]
    for role, teacher in teachers(cell).items():
        command += ["--teacher", f"{role}={{runs}}/{teacher['run']}"]
    command += ["--fingerprint", fingerprint("ews.pipeline.train", trained_by(cell))]
    return {
        "name": f"train {run}",
        "after": [f"train {teacher['run']}" for teacher in teachers(cell).values()],
        "makes": [f"{run}/{RECORD}"],
        "command": [*command, "--threads", "{threads}", "--workers", "{workers}"],
    }


def _evaluation(params: Params, entry: Planned, kind: str) -> Task:
    asked = options(params, entry, kind)
    place = f"{{runs}}/{entry.results}"
    # The table where there is one, else the JSON file.
    out = FILES[kind][0]
    command = [
        "evaluate",
        kind,
        "--run",
        f"{{runs}}/{entry.run}",
        "--data",
        f"{{data}}/{entry.cell['dataset']}",
    ]
    command += ["--out", f"{place}/{out}", "--predictions", f"{place}/{kind}.npz", *words(asked).split()]
    command += ["--fingerprint", fingerprint("ews.pipeline.evaluate", measured_by(entry.cell, kind, asked))]
    # Whoever makes images while they are measured takes workers.
    command += ["--workers", "{workers}"] if kind in ("corruption", "perturbation") else []
    return {
        "name": f"{kind} {entry.results}",
        "after": [f"train {entry.run}"],
        "makes": [f"{entry.results}/{name}" for name in FILES[kind]],
        "command": [*command, "--threads", "{threads}"],
    }
