"""What the workflow plans from the shipped params.yaml, and how it refuses bad ones, before any job starts."""

import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
from helpers.workflow import ROOT, Project, evaluations, jobs, tiny

from ews.pipeline.study.schema import RESERVED
from ews.pipeline.workflow import studies


def test_the_default_target_builds_the_quickstart(project: Project) -> None:
    planned = jobs(project.snakemake("-n").stdout)
    assert planned["train_cell"] == 9
    assert planned["table"] == planned["figure"] == 1


def test_table1_plans_18_trainings(project: Project) -> None:
    output = project.snakemake("-n", "table1").stdout
    planned = jobs(output)
    assert planned["train_cell"] == 18
    assert planned["dataset"] == 2
    assert planned["corruption"] == 30
    assert evaluations(output) == {"clean": 18, "corruption": 18}


def test_table4_plans_30_trainings_and_needs_no_extra_images_for_it(project: Project) -> None:
    output = project.snakemake("-n", "table4").stdout
    planned = jobs(output)
    assert planned["train_cell"] == 30
    assert (planned["dataset"], planned["extra_images"]) == (1, 1)
    assert evaluations(output) == {"clean": 30, "adversarial": 30}


def test_a_dynamic_network_brings_its_teachers_and_is_the_only_one_to_be_attacked_adaptively(project: Project) -> None:
    study = "dataset: digits\n    seed: 0\n    method: [at, awnet]\n    evaluations: [clean, adaptive]"
    project.edit("params.yaml", "studies:\n", f"studies:\n  mine:\n    {study}\n")
    output = project.snakemake("-n", "mine").stdout
    assert jobs(output)["train_cell"] == 4  # vanilla and trades teach, and are not measured.
    assert evaluations(output) == {"clean": 2, "adaptive": 1}


@pytest.mark.parametrize(("study", "kind"), [("mimicry_digits", "mimicry"), ("filters_digits", "filters")])
def test_an_evaluations_own_figure_is_drawn_for_studies_that_ask_for_it(
    project: Project, study: str, kind: str
) -> None:
    output = project.snakemake("-n", study).stdout
    planned = jobs(output)
    assert planned["train_cell"] == 9 and evaluations(output)[kind] == 9
    assert {name for name in planned if name.startswith("figure")} == {"figure", f"figure_{kind}"}


def test_named_targets(project: Project) -> None:
    targets = ("data", "corruptions", "train", "evaluate", "tables", "figures", "cifar10_small")
    assert set(targets) <= set(jobs(project.snakemake("-n", *targets).stdout))


def test_three_lines_add_an_experiment(project: Project) -> None:
    project.edit(
        "params.yaml", "studies:\n", "studies:\n  mine:\n    dataset: digits\n    method: [vanilla, dropout+ews]\n"
    )
    planned = jobs(project.snakemake("-n", "mine").stdout)
    assert planned["train_cell"] == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    width: 0.7", "    width: 1.7", "column 5: methods.ews.width = 1.7"),
        ("    width: 0.7", "    widht: 0.7", "column 5: methods.ews.widht: unknown key. Valid: width, "),
        ("learning_rate: 3.0e-4", "learning_rate: '3e-4'", "It is text: write numbers without quotes."),
        ("source: digits", "source: nowhere", "datasets.digits.source: unknown source 'nowhere'"),
        ("  test_images: null", "  test_images: 5000", "evaluation.test_images = 5000: at most 500 images are there"),
        ("[vanilla, dropout, ews]", "[vanilla, droput, ews]", "Did you mean 'dropout'?"),
    ],
)
def test_a_mistake_ends_in_one_message_before_any_job(project: Project, old: str, new: str, message: str) -> None:
    project.edit("params.yaml", old, new)
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.folder / "results").exists()


def test_lint_and_reasons(project: Project) -> None:
    assert project.snakemake("--lint").returncode == 0


def test_the_manifest_of_another_plan_is_refused(project: Project) -> None:
    """What is written must be what was planned: params.yaml may have changed since, or --config override it."""
    command = [
        sys.executable,
        "-m",
        "ews",
        "study",
        "manifest",
        "quickstart",
        "--digest",
        "0" * 12,
        "--out",
        "study.json",
    ]
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 1
    assert "are not what the workflow planned with" in done.stderr
    assert not (project.folder / "study.json").exists()


def test_no_study_can_take_a_rules_name() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    )
    text += (ROOT / "workflow/Snakefile").read_text(encoding="utf-8")
    names = set(re.findall(r"^rule (\w+):", text, flags=re.MULTILINE)) | {f"figure_{kind}" for kind in studies.OWN}
    assert len(names) > 10 and names == RESERVED - {"runs"}  # results/runs/ is no study's


def test_a_job_is_found_on_another_machine(project: Project) -> None:
    """Snakemake hands jobs to a cluster as `rule:wildcard=value,...`."""
    run = "cifar10_jpeg/resnet20_thin/standard/vanilla--recipe.epochs-15--recipe.train_images-10000/seed0"
    for kind, where in (("clean", "/evaluation--test_images-2000"), ("corruption", "/evaluation--test_images-2000")):
        done = project.snakemake("-n", "--target-jobs", f"evaluate_cell:run={run},where={where},kind={kind}")
        assert evaluations(done.stdout) == {kind: 1}
        assert jobs(done.stdout)["train_cell"] == 1
    # Of evaluations with the defaults one wildcard is empty.
    run = "digits/resnet8_thin/standard/vanilla/seed0"
    done = project.snakemake("-n", "--target-jobs", f"evaluate_cell:run={run},where=,kind=clean")
    assert f"results/runs/{run}/clean.json" in done.stdout


@pytest.mark.parametrize("target", ["default", "quickstart", "tables", "figures"])
def test_committed_tables_do_not_pass_for_a_finished_study(project: Project, target: str) -> None:
    """In a fresh clone the results are there, newer than everything that they are made from, and no run is."""
    shutil.copytree(ROOT / "results/quickstart", project.folder / "results/quickstart")
    for path in (project.folder / "results/quickstart").iterdir():
        path.touch()
    planned = jobs(project.snakemake("-n", target).stdout)
    assert planned["train_cell"] == 9


def without_its_file(content: dict[str, Any]) -> None:
    """Make the tiny study's second method take extra images, whose file is nowhere."""
    tiny(content)
    content["datasets"]["digits"]["extra"] = {"file": "mine.npz", "page": "https://example.org/mine"}
    content["recipes"]["digits"]["adversarial"] |= {"epochs": 1, "batch_size": 32, "train_images": 96}
    content["studies"]["tiny"] |= {"method": ["vanilla", "at+rst"], "evaluations": ["clean"]}


def test_a_missing_file_of_extra_images_stops_a_run_before_its_first_job(project: Project) -> None:
    project.params(without_its_file)
    assert jobs(project.snakemake("-n").stdout)["extra_images"] == 1
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert "mine.npz: not found in" in done.stdout and "from the link on https://example.org/mine" in done.stdout
    assert "Traceback (most recent" not in done.stdout
    assert not list(project.folder.glob("logs/**/*.log")) and not list(project.folder.glob("data/digits/*"))
