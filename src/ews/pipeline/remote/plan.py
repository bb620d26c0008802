"""What a study asks for, as a list of tasks that need nothing but this package and its data."""

from collections.abc import Iterator, Mapping
from typing import Any

from ews.core.fingerprint import fingerprint
from ews.pipeline import commands
from ews.pipeline.evaluate.uses import uses as measured_by
from ews.pipeline.remote.tasks import Task, Tasks
from ews.pipeline.study.cells import OFFICIAL, Planned, is_measured, plan, trainings
from ews.pipeline.study.measuring import FILES, options
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.schema import Params
from ews.pipeline.train.uses import teachers
from ews.pipeline.train.uses import uses as trained_by
from ews.pipeline.workflow import paths

HOW = {"threads": "{threads}", "workers": "{workers}"}
"""What is known on the machine that does a task."""


def tasks(params: Params, study: str) -> Tasks:
    """Return the trainings and evaluations of a study, each after what it builds upon.

    A command holds the code's fingerprint, so that other code refuses it before an hour is spent. Evaluations on
    published corrupted sets are left out: these sets are at home.
    """
    entries = plan(params, study)
    found = list(_trainings(trainings(entries)))
    for kind in params.studies[study].evaluations:
        for entry in entries:
            official = kind == "corruption" and entry.settings["corrupted"]["source"] == OFFICIAL
            if is_measured(kind, entry.cell) and not official:
                found.append(_evaluation(params, entry, kind))
    return Tasks(study=study, tasks=tuple(found))


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
    taught = {role: teacher["run"] for role, teacher in teachers(cell).items()}
    command = commands.train(
        cell=canonical(cell),
        data=f"{{data}}/{cell['dataset']}",
        out=f"{{runs}}/{run}",
        code=fingerprint("ews.pipeline.train", trained_by(cell)),
        teachers=commands.teachers({role: f"{{runs}}/{teacher}" for role, teacher in taught.items()}),
        how=HOW,
    )
    after = tuple(f"train {teacher}" for teacher in taught.values())
    return Task(name=f"train {run}", after=after, makes=(f"{run}/{paths.RECORD}",), command=tuple(command))


def _evaluation(params: Params, entry: Planned, kind: str) -> Task:
    asked = options(params, entry, kind)
    command = commands.evaluate(
        kind,
        run=f"{{runs}}/{entry.run}",
        data=f"{{data}}/{entry.cell['dataset']}",
        out=f"{{runs}}/{entry.results}",
        code=fingerprint("ews.pipeline.evaluate", measured_by(entry.cell, kind, asked)),
        asked=commands.options(asked),
        # Whoever makes images while they are measured takes workers.
        how=HOW if kind in ("corruption", "perturbation") else {"threads": HOW["threads"]},
    )
    makes = tuple(f"{entry.results}/{name}" for name in FILES[kind])
    return Task(name=f"{kind} {entry.results}", after=(f"train {entry.run}",), makes=makes, command=tuple(command))
