"""What a study asks for, as a list of tasks that need nothing but this package and its data."""

from collections.abc import Iterator, Mapping

from ews.pipeline.evaluate import evaluation_uses as measured_by
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.remote.tasks import Measuring, Tasks, Training
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import OFFICIAL, trainings
from ews.pipeline.study.plans import plan_one
from ews.pipeline.study.schema import Params
from ews.pipeline.train import training_uses as trained_by


def tasks(params: Params, study: str) -> Tasks:
    """Return the training runs and evaluations of a study, each after what it builds upon.

    Each has the code's fingerprint, so that other code refuses it before an hour is spent. Evaluations on published
    corrupted sets are left out: these sets are at home.
    """
    entries = plan_one(params, study).cells(study)
    evaluations: dict[tuple[str, str, str], Measuring] = {}
    for kind in params.studies[study].evaluations:
        for entry in entries:
            official = EVALUATIONS[kind].stored and entry.settings.corrupted.source == OFFICIAL
            for asked in entry.asked:
                if asked.kind == kind and not official:
                    code = measured_by.code(entry.cell, kind, asked.options)
                    measuring = Measuring(run=entry.run, evaluation=entry.evaluation, asked=asked, code=code)
                    evaluations[entry.run, entry.evaluation, kind] = measuring
    return Tasks(study=study, trainings=tuple(_trainings(trainings(entries))), evaluations=tuple(evaluations.values()))


def _trainings(cells: Mapping[str, Cell]) -> Iterator[Training]:
    """Yield each cell, those that others learn from first."""
    waiting = dict(cells)
    while waiting:
        ready = [
            run
            for run, cell in waiting.items()
            if not any(teacher.run in waiting for teacher in cell.teachers.values())
        ]
        for run in ready:
            cell = waiting.pop(run)
            yield Training(run=run, cell=cell, code=trained_by.code(cell))
