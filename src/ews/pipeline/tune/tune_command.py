"""Choose the values of a study's rows by its trials: ``ews study tune STUDY``.

`snakemake tune_<study>` trains and measures the trials and then runs this command.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ews.core.command_line import Parser, Writes
from ews.core.errors import EwsError, unknown
from ews.core.finished import MANAGED, let_go
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.validation.validation_spec import ValidationFindings, ValidationOptions
from ews.pipeline.study.plans import RESULTS
from ews.pipeline.study.schema import Params
from ews.pipeline.study.settings import Settings, add_options
from ews.pipeline.study.trials import VALIDATION, Trial, asked, trials
from ews.pipeline.study.tuned import TrialResult, Tuned, path_of, write
from ews.pipeline.tune.choose import choose

Found = Result[ValidationOptions, ValidationFindings]


def main(argv: Sequence[str]) -> None:
    """Parse the command line and write what the trials choose."""
    parser = Parser(prog="ews study tune", description=__doc__.splitlines()[0])
    parser.add_argument("study")
    add_options(parser)
    parser.add_argument("--results", type=Writes(), default=RESULTS, help="(default: %(default)s)")
    parser.add_argument("--digest", help="of the trials that the workflow planned; refuse to choose among others")
    parser.add_argument("--list", action="store_true", help="only print the run folders of the trials")
    parser.add_argument("--managed", action="store_true", help=MANAGED)
    arguments = parser.parse_args(argv)
    with Settings.of(arguments).planning() as params:
        _choose(arguments, params)


def _choose(arguments: Namespace, params: Params) -> None:
    """Do what the command line says."""
    if arguments.study not in params.studies:
        raise unknown("study", arguments.study, params.studies)
    found = trials(params, arguments.study)
    if not found:
        raise EwsError(
            f"params.yaml: studies.{arguments.study}: has no `tune`, so that there is nothing to choose; see "
            "docs/methods.md."
        )
    if arguments.list:
        print("\n".join(dict.fromkeys(trial.planned.results for trial in found)))
        return
    chosen = tuned(params, arguments.study, found, runs=arguments.results / "runs")
    if arguments.digest not in (None, chosen.asked):
        raise EwsError(
            "the settings are not what the workflow planned the trials with: a file of them changed since, or other "
            "--configfile or --config were given. Run snakemake again."
        )
    write(path_of(arguments.results, arguments.study), chosen)
    if arguments.managed:
        # That the workflow begins this step says that it has seen the ends of those before.
        for trial in found:
            let_go(arguments.results / "runs" / trial.planned.results / run_files.result(VALIDATION))
    for choice in chosen.chosen:
        values = ", ".join(f"{path} = {value}" for path, value in choice.values.items())
        edge = " (at an edge of the grid: better values may lie beyond)" if choice.at_edge else ""
        print(f"{'/'.join(choice.group)}: {choice.arm}: {values}, error {choice.error:.2f} %{edge}")


def tuned(params: Params, study: str, found: Sequence[Trial], *, runs: Path) -> Tuned:
    """Return what a study's trials choose.

    Args:
        params: of everything.
        study: that tunes.
        found: its trials.
        runs: folder of the runs.

    Raises:
        EwsError: a trial is not trained or not measured; how many, and the first of them.
    """
    tuning = params.studies[study].tune
    assert tuning is not None
    missing = [trial.planned.run for trial in found if not _is_there(trial, runs)]
    if missing:
        raise EwsError(
            f"{len(set(missing))} of the trials of {study} are not trained and measured yet, such as {missing[0]}. Run "
            f"`snakemake tune_{study}`."
        )
    results, measured = [], []
    for trial in found:
        run = FinishedRun.open(runs / trial.planned.run)
        result: Found = read_result(runs / trial.planned.results, EVALUATIONS[VALIDATION], run)
        if result.options != trial.planned.options(VALIDATION) or run.record.cell != trial.planned.cell:
            raise EwsError(
                f"{runs / trial.planned.results}: is not the trial that params.yaml asks for now. Run `snakemake "
                f"tune_{study}`."
            )
        measured.append(result)
        results.append(
            TrialResult(
                run=trial.planned.run,
                arm=trial.arm,
                values=trial.values,
                seed=trial.seed,
                clean_error=result.result.clean,
                corruption_error=result.result.corrupted,
                seconds=run.record.wall_clock_seconds,
                processor_seconds=round(sum(row.processor_seconds for row in run.timing()), 3),
            )
        )
    images = {one.result.n for one in measured}
    by_run = {one.run: one for one in results}
    return Tuned(
        study=study,
        asked=asked(study, list(found), tuning),
        by=tuning.by,
        seeds=tuple(tuning.seeds),
        corruptions=measured[0].options.names,
        validation_images=min(images),
        seconds=round(sum(one.seconds for one in by_run.values()), 3),
        processor_seconds=round(sum(one.processor_seconds for one in by_run.values()), 3),
        chosen=choose(found, results, tuning),
        trials=tuple(results),
    )


def _is_there(trial: Trial, runs: Path) -> bool:
    record = runs / trial.planned.run / run_files.RECORD
    return record.is_file() and (runs / trial.planned.results / run_files.result(VALIDATION)).is_file()
