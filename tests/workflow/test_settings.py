"""What the workflow plans with: params.yaml, read strictly, and what the command line lays over it."""

import json

import pytest
from helpers.workflow import Project, jobs, tiny

MINE = """\
studies:
  my:
    title: Mine
    dataset: digits
    architecture: tiny
    method: [vanilla, ews]
    seed: 0
"""


def test_nothing_in_params_yaml_is_evaluated(project: Project) -> None:
    """Snakemake's own reader runs what stands behind a question mark."""
    project.edit("params.yaml", "mirror: null", 'mirror: ?(open("run.txt","w").write("x"), None)[1]\n__use_yte__: true')
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "__use_yte__: unknown key" in done.stdout and "params.yaml, line" in done.stdout
    assert not (project.folder / "run.txt").exists()


def test_a_key_that_stands_twice_stops_the_workflow_before_any_job(project: Project) -> None:
    project.edit("params.yaml", "    seed: 0\n", "    seed: 0\n    seed: 1\n")
    done = project.snakemake(check=False)
    assert done.returncode != 0 and "'seed' stands twice" in done.stdout and "Traceback" not in done.stdout
    assert not (project.folder / "results").exists()


def test_files_and_values_are_laid_over_params_yaml_in_order(project: Project) -> None:
    project.params(tiny)
    (project.folder / "mine.yaml").write_text(MINE)
    (project.folder / "more.yaml").write_text("studies:\n  my:\n    seed: [0, 1]\n")
    (project.folder / "wrong.yaml").write_text("studies:\n  my:\n    seed: [0, -1]\n")
    assert jobs(project.snakemake("-n", "my", "--configfile", "mine.yaml", "more.yaml").stdout)["train_cell"] == 4
    done = project.snakemake("-n", "--configfile", "mine.yaml", "--config", "seeds=[7]", "reproduce=[my, tiny]")
    assert jobs(done.stdout)["train_cell"] == 3
    done = project.snakemake("-n", "--configfile", "mine.yaml", "wrong.yaml", check=False)
    assert done.returncode != 0 and "wrong.yaml, line 3, column 15: studies.my.seed[1] = -1" in done.stdout


@pytest.mark.slow
def test_a_study_in_a_file_of_ones_own_is_built_and_repeats_nothing_else(finished: Project) -> None:
    (finished.folder / "my own.yaml").write_text(MINE)
    done = finished.snakemake("my", "--configfile", "my own.yaml", "--config", "mirror=it's here")
    assert "train_cell" not in jobs(done.stdout)  # the runs of `tiny` are its own
    study = json.loads((finished.folder / "results/my/study.json").read_text())
    assert study["title"] == "Mine" and (finished.folder / "results/my/table.html").exists()
    assert "Nothing to be done" in finished.snakemake("-n").stdout
    # Another study in that file, another file: what is finished stays so.
    other = MINE + MINE.removeprefix("studies:\n").replace("my:", "other:").replace("seed: 0", "seed: 5")
    (finished.folder / "other.yaml").write_text(other)
    assert "Nothing to be done" in finished.snakemake("-n", "my", "--configfile", "other.yaml").stdout
    assert jobs(finished.snakemake("-n", "other", "--configfile", "other.yaml").stdout)["train_cell"] == 2
