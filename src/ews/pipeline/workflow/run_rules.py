"""The rules of runs: one training for each cell and seed, one job for each evaluation of it."""

from pathlib import Path

from ews.core.errors import EwsError
from ews.methods.method_registry import METHODS
from ews.pipeline import commands
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import not_brought, without_weights
from ews.pipeline.evaluate import evaluation_uses as measured_by
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.naming import canonical
from ews.pipeline.train import training_uses as trained_by
from ews.pipeline.workflow import paths
from ews.pipeline.workflow.data import corrupted_folder, set_files
from ews.pipeline.workflow.workflow_plan import Plan

KINDS = tuple(EVALUATIONS)


def data(plan: Plan, run: str) -> str:
    """Return the file that vouches for the dataset of a run."""
    return paths.dataset(plan.cell(run).dataset)


def extra(plan: Plan, run: str) -> list[str]:
    """Return the file that vouches for the dataset's extra images, where the method takes some."""
    cell = plan.cell(run)
    takes = any(METHODS[name].extra_data for name in cell.method.names)
    return [f"data/{cell.dataset}-extra/{paths.EXTRA}"] if takes else []


def teachers(plan: Plan, run: str) -> dict[str, str]:
    """Return the run that plays each role in a method that learns from other networks."""
    return {role: teacher.run for role, teacher in plan.cell(run).teachers.items()}


def teacher_records(plan: Plan, run: str) -> list[str]:
    """Return the records of the runs that a run learns from.

    Raises:
        EwsError: it is still to be trained, and the weights of one of them are not here.
    """
    for teacher in teachers(plan, run).values():
        if bare(teacher) and not Path(paths.record(run)).is_file():
            folder = Path(paths.RUNS, teacher)
            raise EwsError(f"{folder}: cannot teach {run}: {not_brought(folder)}")
    return [paths.record(teacher) for teacher in teachers(plan, run).values()]


def trained(plan: Plan, run: str, where: str, kind: str) -> str:
    """Return the file by which an evaluation knows which weights it measured.

    Not the weights: they may be elsewhere, and would be trained again without a word. The epochs have their checksums.

    Raises:
        EwsError: the evaluation is still to be made, and the weights are not here.
    """
    names = (run_files.result(kind), run_files.arrays(kind))
    if bare(run) and not all(Path(paths.file(run + where, name)).is_file() for name in names):
        folder = Path(paths.RUNS, run)
        raise EwsError(f"{folder}: cannot be measured ({kind}): {not_brought(folder)}")
    return paths.file(run, run_files.EPOCHS)


def bare(run: str) -> bool:
    """Say whether a run is finished and its weights are not here."""
    return without_weights(Path(paths.RUNS, run))


def teacher_options(plan: Plan, run: str) -> str:
    """Return the options that name the folders of the runs that a run learns from."""
    found = {role: f"{paths.RUNS}/{teacher}" for role, teacher in teachers(plan, run).items()}
    return commands.quoted(commands.teachers(found))


def cell(plan: Plan, run: str) -> str:
    """Return a run's cell as JSON, the same text for the same cell."""
    return canonical(plan.cell(run))


def train_code(plan: Plan, run: str) -> str:
    """Return the fingerprint of what trains a run."""
    return trained_by.code(plan.cell(run))


def corrupted(plan: Plan, run: str, where: str, kind: str) -> list[str]:
    """Return the stored corrupted images that an evaluation reads; none if it is on others.

    Of a run whose weights are not here only those that are: it cannot be measured again, and no set is made for it.
    """
    found = set_files(plan, plan.evaluation(run + where)) if EVALUATIONS[kind].stored else []
    return [file for file in found if Path(file).is_file()] if bare(run) else found


def asked(plan: Plan, run: str, where: str, kind: str) -> str:
    """Return the options that decide an evaluation's result, and where its stored images are."""
    entry = plan.evaluation(run + where)
    words = commands.options(dict(entry.options(kind)))
    if EVALUATIONS[kind].stored and entry.stored:
        words += commands.options({"corrupted": f"data/{corrupted_folder(entry)}"})
    return commands.quoted(words)


def evaluate_code(plan: Plan, run: str, where: str, kind: str) -> str:
    """Return the fingerprint of what makes an evaluation."""
    entry = plan.evaluation(run + where)
    return measured_by.code(entry.cell, kind, entry.options(kind))


def makes_images(plan: Plan, run: str, where: str, kind: str) -> bool:
    """Tell whether an evaluation makes so many images that several processes are worth their while.

    Frames of 32 pixels are made in no time next to their predictions; those of 224 take all cores.
    """
    entry, spec = plan.evaluation(run + where), EVALUATIONS[kind]
    if spec.stored:
        return not entry.stored
    return spec.workers and plan.dataset(entry.cell.dataset).corrupted.profile == "imagenet"


def minutes(plan: Plan, kind: str) -> int:
    """Return how long an evaluation of a kind may take on a GPU; what is finished of one that is cut off is kept."""
    return EVALUATIONS[kind].minutes
