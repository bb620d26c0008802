"""Stored corrupted images or images made on the way: the same results."""

import shutil
from pathlib import Path

import pytest
from helpers.workflow import Project, evaluations, jobs

pytestmark = pytest.mark.slow
RUN = Path("results/runs/digits/tiny/standard/vanilla/seed0")
RESULTS = ("corruption.json", "corruption.npz")


def stored(project: Project, value: bool) -> None:
    project.params(lambda content: content["evaluation"]["corruption"].update(stored=value))


def test_how_images_are_had_changes_no_result(finished: Project) -> None:
    run, sets = finished.folder / RUN, finished.folder / "data/digits-c"
    before = [(run / name).read_bytes() for name in RESULTS]
    stored(finished, False)
    shutil.rmtree(sets)
    output = finished.snakemake("-n", "evaluate").stdout
    assert "corruption" not in jobs(output) and evaluations(output) == {"corruption": 3}
    finished.snakemake("evaluate")
    assert [(run / name).read_bytes() for name in RESULTS] == before
    assert not sets.exists()
    assert "corruption" not in jobs(finished.snakemake("-n", "corruptions").stdout)


@pytest.mark.parametrize("value", [True, False])
def test_other_images_are_measured_again(finished: Project, value: bool) -> None:
    stored(finished, value)
    finished.params(lambda content: content["datasets"]["digits"]["corrupted"].update(seed=1))
    output = finished.snakemake("-n", "evaluate").stdout
    assert evaluations(output) == {"corruption": 3}
    assert jobs(output).get("corruption") == (2 if value else None)


def test_a_set_without_its_record_is_made_again(finished: Project) -> None:
    (finished.folder / "data/digits-c/contrast.json").unlink()
    assert jobs(finished.snakemake("-n", "corruptions").stdout)["corruption"] == 1
