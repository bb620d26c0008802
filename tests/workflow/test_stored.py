"""Stored corrupted images or images made on the way: the same results, and no reason to measure again."""

import shutil
from pathlib import Path

import pytest
from helpers.workflow import Project, jobs

pytestmark = pytest.mark.slow
RUN = Path("results/runs/digits/tiny/standard/vanilla/seed0")
RESULTS = ("corruption.csv", "corruption.json", "corruption.npz")


def stored(project: Project, value: bool) -> None:
    project.params(lambda content: content["evaluation"]["corruption"].update(stored=value))


def up_to_date(project: Project) -> bool:
    return "Nothing to be done" in project.snakemake("-n", "evaluate").stdout


def test_how_images_are_had_changes_no_result(finished: Project) -> None:
    run, sets = finished.folder / RUN, finished.folder / "data/digits-c"
    before = [(run / name).read_bytes() for name in RESULTS]
    stored(finished, False)
    assert up_to_date(finished)
    shutil.rmtree(sets)
    assert up_to_date(finished)
    for name in RESULTS:
        (run / name).unlink()
    assert jobs(finished.snakemake("-n", "evaluate").stdout) == {"evaluate": 1, "evaluate_corruption": 1, "total": 2}
    finished.snakemake("evaluate")
    assert [(run / name).read_bytes() for name in RESULTS] == before
    assert not sets.exists()
    assert "corruption" not in jobs(finished.snakemake("-n", "corruptions").stdout)

    # Back: nothing again, not even once the sets are there, newer than the results.
    stored(finished, True)
    assert up_to_date(finished)
    finished.snakemake("corruptions")
    assert {path.name for path in sets.iterdir()} >= {"contrast.npy", "contrast.json", "labels.npy"}
    assert up_to_date(finished)


@pytest.mark.parametrize("value", [True, False])
def test_other_images_are_measured_again(finished: Project, value: bool) -> None:
    stored(finished, value)
    finished.params(lambda content: content["datasets"]["digits"]["corrupted"].update(seed=1))
    planned = jobs(finished.snakemake("-n", "evaluate").stdout)
    assert planned["evaluate_corruption"] == 3
    assert planned.get("corruption") == (2 if value else None)
    with (finished.folder / "src/ews/corruptions/digital.py").open("a", encoding="utf-8") as file:
        file.write("\n\nADDED = 1\n")
    finished.params(lambda content: content["datasets"]["digits"]["corrupted"].update(seed=0))
    planned = jobs(finished.snakemake("-n", "evaluate").stdout)
    assert planned["evaluate_corruption"] == 3
    assert planned.get("corruption") == (1 if value else None)


def test_a_set_without_its_record_is_made_again(finished: Project) -> None:
    (finished.folder / "data/digits-c/contrast.json").unlink()
    assert jobs(finished.snakemake("-n", "corruptions").stdout)["corruption"] == 1
