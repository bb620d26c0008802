"""What `ews study tune` chooses by finished trials, and what it refuses."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.runs import a_record

from ews.core.errors import EwsError
from ews.core.finished import finishing
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, write_result
from ews.pipeline.artifacts.run import FinishedRun, write_record
from ews.pipeline.evaluate.validation.validation_spec import HeldOutError, ValidationFindings
from ews.pipeline.study.params import validate
from ews.pipeline.study.plans import plan_one
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trials import VALIDATION, Trial, trials
from ews.pipeline.study.tuned import path_of, read
from ews.pipeline.tune.tune_command import main

ROOT = Path(__file__).parents[3]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
DECAY = "recipes.digits.standard.weight_decay"
# By value: clean and corrupted error of the first seed; the second one's are 2 more.
ERRORS = {
    1e-4: (10.0, 30.0),
    1e-3: (12.0, 26.0),
    1e-2: (9.0, 40.0),
    0.3: (11.0, 25.0),
    1.0: (8.0, 25.0),
    3.0: (9.0, 33.0),
}
TIMING = "epoch,seconds,images_per_second,start,threads,processor_seconds\n1,2.0,10.0,1,1,1.5\n2,2.0,10.0,1,1,2.5\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a study that tunes: `mine`."""
    raw = copy.deepcopy(SHIPPED)
    raw["reproduce"] = ["mine"]
    raw["studies"] = {"mine": study(), "plain": {"dataset": "digits", "method": "vanilla"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/sources.yaml").write_bytes((ROOT / "data/sources.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(**tune: Any) -> dict[str, Any]:
    grid = {"vanilla": {DECAY: [1e-4, 1e-3, 1e-2]}, "ews": {"methods.ews.weight": [0.3, 1.0, 3.0]}}
    tune = {"seeds": [7, 8], "by": "corruption", "grid": grid} | tune
    return {"dataset": "digits", "method": ["vanilla", "ews"], "seed": [0], "tune": tune}


def finish(trial: Trial, runs: Path, clean: float, corrupted: float) -> None:
    """Leave what a trial's training and evaluation leave."""
    folder = runs / trial.planned.run
    folder.mkdir(parents=True)
    (folder / run_files.TIMING).write_text(TIMING)
    from ews.core.files import sha256

    record = a_record(trial.planned.cell, files={run_files.TIMING: sha256(folder / run_files.TIMING)})
    write_record(folder, record)
    findings = ValidationFindings(
        clean=clean, corrupted=corrupted, rows=(HeldOutError(corruption="spatter", error=corrupted),), n=179
    )
    result = Result(
        evaluation=VALIDATION,
        options=trial.planned.options(VALIDATION),
        code="0" * 16,
        run=FinishedRun.open(folder).identity,
        dataset="digits",
        data="0" * 64,
        files={},
        result=findings,
    )
    write_result(runs / trial.planned.results, result, {})


def finish_all(params: Params, runs: Path) -> None:
    for trial in trials(params, "mine"):
        clean, corrupted = ERRORS[next(iter(trial.values.values()))]
        later = 2.0 * (trial.seed == 8)
        finish(trial, runs, clean + later, corrupted + later)


def params_of(project: Path, **tune: Any) -> Params:
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["studies"]["mine"] = study(**tune)
    (project / "params.yaml").write_text(yaml.safe_dump(raw))
    return validate(raw)


@pytest.mark.parametrize(
    ("by", "vanilla", "ews", "errors", "edge"),
    [
        # Equal errors of 0.3 and 1.0: the first is chosen.
        ("corruption", 1e-3, 0.3, (27.0, 26.0), ("methods.ews.weight",)),
        ("clean", 1e-2, 1.0, (10.0, 9.0), ()),
    ],
)
def test_the_lowest_mean_error_over_the_seeds_is_chosen(
    project: Path, capsys: pytest.CaptureFixture[str], by: str, vanilla: float, ews: float, errors: Any, edge: Any
) -> None:
    params = params_of(project, by=by)
    finish_all(params, project / "results/runs")
    main(["mine"])
    found = read(path_of("results", "mine"), params, "mine", trials(params, "mine"))
    assert [(one.arm, *one.values.values(), one.error) for one in found.chosen] == [
        ("vanilla", vanilla, errors[0]),
        ("ews", ews, errors[1]),
    ]
    assert found.chosen[1].at_edge == edge
    assert (len(found.trials), found.seconds, found.processor_seconds) == (12, 1200.0, 48.0)
    assert {one.processor_seconds for one in found.trials} == {4.0} and found.validation_images == 179
    printed = capsys.readouterr().out
    assert f"ews: methods.ews.weight = {ews}" in printed and ("at an edge" in printed) == (
        "0.01" in printed or bool(edge)
    )
    planned = plan_one(params, "mine").cells("mine")
    assert [entry.cell.recipe.weight_decay for entry in planned] == [vanilla, 5e-4]


def test_trials_that_are_missing_are_counted_and_named(project: Path) -> None:
    params = params_of(project)
    first, *_ = trials(params, "mine")
    with pytest.raises(EwsError, match=r"12 of the trials of mine are not trained.*snakemake tune_mine"):
        main(["mine"])
    finish(first, project / "results/runs", 10.0, 20.0)
    with pytest.raises(EwsError, match=r"11 of the trials of mine"):
        main(["mine"])
    assert not path_of("results", "mine").exists()


def test_what_was_measured_otherwise_is_no_trial(project: Path) -> None:
    params = params_of(project)
    finish_all(params, project / "results/runs")
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["evaluation"]["validation"]["names"] = ["spatter"]
    (project / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(EwsError, match=r"is not the trial that params\.yaml asks for now"):
        main(["mine"])


def test_other_trials_than_were_planned_are_not_chosen_among(project: Path) -> None:
    finish_all(params_of(project), project / "results/runs")
    with pytest.raises(EwsError, match=r"are not what the workflow planned the trials with"):
        main(["mine", "--digest", "0" * 12])


def test_a_study_that_tunes_nothing_and_an_unknown_one_are_named(project: Path) -> None:
    with pytest.raises(EwsError, match=r"studies\.plain: has no `tune`"):
        main(["plain"])
    with pytest.raises(EwsError, match=r"unknown study 'mien'. Did you mean 'mine'"):
        main(["mien"])


def test_the_trials_folders_are_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["mine", "--list"])
    assert len(capsys.readouterr().out.splitlines()) == 12


@pytest.mark.parametrize(("words", "links"), [(["--managed"], 1), ([], 2)])
def test_a_workflow_s_choice_lets_go_of_the_trials_results(project: Path, words: list[str], links: int) -> None:
    params = params_of(project)
    runs = project / "results/runs"
    finish_all(params, runs)
    results = [runs / trial.planned.results / run_files.result(VALIDATION) for trial in trials(params, "mine")]
    for result in results:
        content = result.read_bytes()
        with finishing(result, {}, keep=True) as folder:
            (folder / result.name).write_bytes(content)
    main(["mine", *words])
    assert {result.stat().st_nlink for result in results} == {links}
