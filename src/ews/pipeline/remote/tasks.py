"""The plan of a study for another machine: a file with a list of tasks."""

from pathlib import Path

from pydantic import field_validator

from ews.core.documents import Document, read_document

VERBS = ("train", "evaluate")
"""What a plan may have done: a file that comes from somewhere is no way to run anything else."""


class Task(Document):
    """One training run or evaluation.

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


class Tasks(Document):
    """What a study asks for: each task after those that it builds upon."""

    study: str
    tasks: tuple[Task, ...]

    @field_validator("tasks")
    @classmethod
    def _ours(cls, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        for task in tasks:
            verb = " ".join(task.command[:1])
            if verb not in VERBS:
                raise ValueError(f"{task.name}: a plan may only {' and '.join(VERBS)}, not {verb!r}")
        return tasks


def read(path: Path) -> Tasks:
    """Read a plan.

    Raises:
        EwsError: there is none, or the file is something else.
    """
    return read_document(path, Tasks, remedy=f"`ews remote plan STUDY --out {path}` writes a plan.")
