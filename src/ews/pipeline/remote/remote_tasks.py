"""What a study asks for, as a list of tasks that need nothing but this package and its data."""

from collections.abc import Iterator, Mapping

from ews.pipeline import commands
from ews.pipeline.artifacts import run_files
from ews.pipeline.evaluate import evaluation_uses as measured_by
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.remote.tasks import Task, Tasks
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import OFFICIAL, trainings
from ews.pipeline.study.manifest import Asked
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.plans import plan_one
from ews.pipeline.study.schema import Params
from ews.pipeline.train import training_uses as trained_by

HOW = {"threads": "{threads}", "workers": "{workers}"}
"""What is known on the machine that does a task."""


def tasks(params: Params, study: str) -> Tasks:
    """Return the training runs and evaluations of a study, each after what it builds upon.

    A command holds the code's fingerprint, so that other code refuses it before an hour is spent. Evaluations on
    published corrupted sets are left out: these sets are at home.
    """
    entries = plan_one(params, study).cells(study)
    found = list(_trainings(trainings(entries)))
    for kind in params.studies[study].evaluations:
        for entry in entries:
            official = EVALUATIONS[kind].stored and entry.settings.corrupted.source == OFFICIAL
            found += [_evaluation(entry, asked) for asked in entry.asked if asked.kind == kind and not official]
    return Tasks(study=study, tasks=tuple(found))


def _trainings(cells: Mapping[str, Cell]) -> Iterator[Task]:
    """Yield a task for each cell, those that others learn from first."""
    waiting = dict(cells)
    while waiting:
        ready = [
            run
            for run, cell in waiting.items()
            if not any(teacher.run in waiting for teacher in cell.teachers.values())
        ]
        for run in ready:
            yield _training(run, waiting.pop(run))


def _training(run: str, cell: Cell) -> Task:
    taught = {role: teacher.run for role, teacher in cell.teachers.items()}
    command = commands.train(
        cell=canonical(cell),
        data=f"{{data}}/{cell.dataset}",
        out=f"{{runs}}/{run}",
        code=trained_by.code(cell),
        teachers=commands.teachers({role: f"{{runs}}/{teacher}" for role, teacher in taught.items()}),
        how=HOW,
    )
    after = tuple(f"train {teacher}" for teacher in taught.values())
    return Task(name=f"train {run}", after=after, makes=(f"{run}/{run_files.RECORD}",), command=tuple(command))


def _evaluation(entry: Planned, asked: Asked) -> Task:
    command = commands.evaluate(
        asked.kind,
        run=f"{{runs}}/{entry.run}",
        data=f"{{data}}/{entry.cell.dataset}",
        out=f"{{runs}}/{entry.results}",
        code=measured_by.code(entry.cell, asked.kind, asked.options),
        asked=commands.options(dict(asked.options)),
        how=HOW if EVALUATIONS[asked.kind].workers else {"threads": HOW["threads"]},
    )
    makes = tuple(f"{entry.results}/{name}" for name in (run_files.result(asked.kind), run_files.arrays(asked.kind)))
    name = f"{asked.kind} {entry.results}"
    return Task(name=name, after=(f"train {entry.run}",), makes=makes, command=tuple(command))
