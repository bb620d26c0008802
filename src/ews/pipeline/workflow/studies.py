"""The rules that report, and what the targets collect of some studies."""

from ews.core.errors import EwsError
from ews.core.fingerprint import fingerprint
from ews.pipeline.artifacts import run_files
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cells import manifest
from ews.pipeline.study.naming import digest
from ews.pipeline.study.trials import VALIDATION, asked
from ews.pipeline.workflow import paths
from ews.pipeline.workflow.workflow_plan import Plan

OWN = tuple(name for name, spec in EVALUATIONS.items() if spec.figure)
"""The kinds of evaluation with a figure of their own."""


def code(plan: Plan) -> str:
    """Return the fingerprint of what reports."""
    return fingerprint("ews.pipeline.report.report_command")


def study_digest(plan: Plan, study: str) -> str:
    """Return a digest of a study's manifest: the cells themselves would make Snakemake's metadata as large."""
    return digest(manifest(plan.params, study, plan.of_study(study), plan.plans.tuned.get(study)))


def study_records(plan: Plan, study: str) -> list[str]:
    """Return the records of a study's runs."""
    return records(plan, [study])


def study_teachers(plan: Plan, study: str) -> list[str]:
    """Return the records of the runs that a study's cells learn from: a student costs its teachers too."""
    return sorted({paths.record(run) for entry in plan.listed([study]) for run in entry.teachers})


def study_evaluations(plan: Plan, study: str) -> list[str]:
    """Return the files of a study's evaluations."""
    return evaluations(plan, [study])


def own_evaluations(plan: Plan, study: str, kind: str) -> list[str]:
    """Return the files of a study's evaluations, for the figure that one of them has.

    Raises:
        EwsError: the study does not ask for it.
    """
    if not _asks(plan, study, kind):
        raise EwsError(
            f"results/{study}/{kind}.svg: the study does not ask for the evaluation {kind!r}; add it to "
            f"studies.{study}.evaluations in params.yaml."
        )
    return study_evaluations(plan, study)


def records(plan: Plan, studies: list[str]) -> list[str]:
    """Return the records of the runs of some studies."""
    return sorted({paths.record(entry.run) for entry in plan.listed(studies)})


def evaluations(plan: Plan, studies: list[str]) -> list[str]:
    """Return the files of the evaluations of some studies."""
    return sorted(
        {
            paths.file(entry.results, file)
            for study in studies
            for entry in plan.of_study(study)
            for asked in entry.asked
            for file in (run_files.result(asked.kind), run_files.arrays(asked.kind))
        }
    )


def trial_files(plan: Plan, study: str) -> list[str]:
    """Return what a study's trials leave: their records and their errors on validation images.

    Raises:
        EwsError: it has no trials.
    """
    if plan.params.studies[study].tune is None:
        raise EwsError(f"params.yaml: studies.{study}: has no `tune`, so that there is nothing to choose.")
    found = [trial.planned for trial in plan.plans.trials.get(study, [])]
    files = {paths.file(entry.results, run_files.result(VALIDATION)) for entry in found}
    return sorted(files | {paths.record(entry.run) for entry in found})


def trials_digest(plan: Plan, study: str) -> str:
    """Return a digest of a study's trials."""
    tuning = plan.params.studies[study].tune
    return "" if tuning is None else asked(study, plan.plans.trials[study], tuning)


def tune_code(plan: Plan) -> str:
    """Return the fingerprint of what chooses values."""
    return fingerprint("ews.pipeline.tune.tune_command")


def tables(plan: Plan, studies: list[str]) -> list[str]:
    """Return the tables of some studies."""
    return [f"results/{study}/{file}" for study in studies for file in paths.TABLES]


def figures(plan: Plan, studies: list[str]) -> list[str]:
    """Return the figures of some studies: those of every study, and those of the evaluations that it asks for."""
    return [
        f"results/{study}/{file}"
        for study in studies
        for file in (*paths.figures(), *(f"{kind}.svg" for kind in OWN if _asks(plan, study, kind)))
    ]


def _asks(plan: Plan, study: str, kind: str) -> bool:
    return any(asked.kind == kind for entry in plan.of_study(study) for asked in entry.asked)
