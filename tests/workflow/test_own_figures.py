"""The figures of single evaluations, drawn by the workflow itself."""

import pytest
from helpers.workflow import Project, tiny


@pytest.mark.slow
def test_each_evaluation_draws_its_own_figure(project: Project) -> None:
    project.params(tiny)
    project.params(lambda content: content["evaluation"]["mimicry"].update(images=20, steps=1))
    asked = {"method": ["vanilla"], "evaluations": ["clean", "mimicry", "filters"]}
    project.params(lambda content: content["studies"]["tiny"].update(asked))
    project.snakemake()
    drawn = {path.name: path.read_text() for path in (project.folder / "results/tiny").glob("*.svg")}
    assert {"mimicry.svg", "filters.svg"} <= set(drawn)
    assert "mimicked" in drawn["mimicry.svg"] and "mimicked" not in drawn["filters.svg"]
