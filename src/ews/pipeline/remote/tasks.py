"""The plan of a study for another machine: typed values, of which the commands are built where they are run."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from ews.core.documents import Document, read_document
from ews.core.errors import EwsError
from ews.core.values import Name
from ews.pipeline import commands
from ews.pipeline.artifacts import run_files
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.manifest import Asked
from ews.pipeline.study.naming import EVALUATION, canonical

HOW = {"threads": "{threads}", "workers": "{workers}"}
"""What is known on the machine that does a task."""

LARGEST = 2**26
"""Bytes of a plan; one of a thousand runs takes four million."""

# Names of folders that lead nowhere else: none begins with a dot. See ews.pipeline.study.naming.
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
RunFolder = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART}){{3}}/seed[0-9]+$", max_length=500)]
Subfolder = Annotated[str, Field(pattern=rf"^({EVALUATION}--{_PART})?$", max_length=200)]
Code = Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]


@dataclass(frozen=True)
class Task:
    """One training run or evaluation, as it is done.

    Attributes:
        name: what it does to which folder below that of runs, e.g. ``train digits/.../seed0``.
        after: names of the tasks that come first.
        makes: files below the folder of runs, all there when it is done.
        command: the words that follow ``ews``; ``{data}``, ``{runs}``, ``{threads}`` and ``{workers}`` stand for what
            is known on the machine that does it.
    """

    name: str
    after: tuple[str, ...]
    makes: tuple[str, ...]
    command: tuple[str, ...]


class Training(Document):
    """A training run.

    Attributes:
        run: its folder below that of runs.
        cell: its parameters.
        code: the fingerprint of the code that is to train it.
    """

    run: RunFolder
    cell: Cell
    code: Code

    def task(self) -> Task:
        """Return what is to be done."""
        teachers = {role: teacher.run for role, teacher in self.cell.teachers.items()}
        command = commands.train(
            cell=canonical(self.cell),
            data=f"{{data}}/{self.cell.dataset}",
            out=f"{{runs}}/{self.run}",
            code=self.code,
            teachers=commands.teachers({role: f"{{runs}}/{teacher}" for role, teacher in teachers.items()}),
            how=HOW,
        )
        after = tuple(f"train {teacher}" for teacher in teachers.values())
        return Task(f"train {self.run}", after, (f"{self.run}/{run_files.RECORD}",), tuple(command))


class Measuring(Document):
    """An evaluation.

    Attributes:
        run: the folder of the training run that it measures.
        evaluation: the folder within for other settings than the defaults, or "".
        asked: its kind, and all that decides its result.
        code: the fingerprint of the code that is to measure.
    """

    run: RunFolder
    evaluation: Subfolder
    asked: Asked
    code: Code

    def task(self, dataset: str) -> Task:
        """Return what is to be done on a dataset."""
        kind = self.asked.kind
        results = f"{self.run}/{self.evaluation}" if self.evaluation else self.run
        command = commands.evaluate(
            kind,
            run=f"{{runs}}/{self.run}",
            data=f"{{data}}/{dataset}",
            out=f"{{runs}}/{results}",
            code=self.code,
            asked=commands.options(dict(self.asked.options)),
            how=HOW if EVALUATIONS[kind].workers else {"threads": HOW["threads"]},
        )
        makes = tuple(f"{results}/{name}" for name in (run_files.result(kind), run_files.arrays(kind)))
        return Task(f"{kind} {results}", (f"train {self.run}",), makes, tuple(command))


class Tasks(Document):
    """What a study asks for: training runs, each after those that it learns from, then evaluations of them.

    A file that comes from somewhere says what to train and measure, and no command: nothing else can be run by it.
    """

    study: Name
    trainings: tuple[Training, ...]
    evaluations: tuple[Measuring, ...]

    @model_validator(mode="after")
    def _consistent(self) -> "Tasks":
        runs: set[str] = set()
        for training in self.trainings:
            if training.run in runs:
                raise ValueError(f"trains {training.run} twice")
            if training.run.split("/")[0] != training.cell.dataset:
                raise ValueError(f"{training.run} is no run of the dataset {training.cell.dataset!r}")
            for role, teacher in training.cell.teachers.items():
                if not re.fullmatch(_PART, role):
                    raise ValueError(f"{training.run}: {role!r} is no name of a teacher's role")
                if teacher.run not in runs:
                    raise ValueError(f"{training.run} learns from {teacher.run} ({role}), which is not trained before")
            runs.add(training.run)
        for measuring in self.evaluations:
            if measuring.run not in runs:
                raise ValueError(f"measures {measuring.run}, which it does not train")
        most, count = Counter(task.name for task in self.tasks).most_common(1)[0] if self.tasks else ("", 0)
        if count > 1:
            raise ValueError(f"asks {count} times for {most}")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All that is to be done, each after what it builds upon."""
        datasets = {training.run: training.cell.dataset for training in self.trainings}
        return (
            *(training.task() for training in self.trainings),
            *(measuring.task(datasets[measuring.run]) for measuring in self.evaluations),
        )


def read(path: Path) -> Tasks:
    """Read a plan.

    Raises:
        EwsError: there is none, or the file is something else, or damaged.
    """
    remedy = f"`ews remote plan STUDY --out {path}` writes a plan."
    if path.is_file() and path.stat().st_size > LARGEST:
        raise EwsError(f"{path}: {path.stat().st_size:,} bytes long, more than the plan of any study. {remedy}")
    return read_document(path, Tasks, remedy=remedy)


def check_places(tasks: tuple[Task, ...], runs: Path) -> None:
    """Refuse tasks that would write elsewhere than below the folder of runs, by way of a link in it.

    Raises:
        EwsError: a folder of a run leads out of it.
    """
    inside = runs.resolve()
    for task in tasks:
        for name in task.makes:
            if not (runs / name).resolve().is_relative_to(inside):
                raise EwsError(
                    f"{runs / name}: leads out of {runs} by way of a link. Remove the link, or name the folder that it "
                    "leads to as --runs."
                )
