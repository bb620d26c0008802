"""The figure of random subnets: what its points and its text say of made-up findings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import SUBNETS, subnets_found

from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream
from ews.pipeline.report import plot_subnets, plotting, reported, study_rows, table_data, training_logs
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measure import measure
from ews.pipeline.report.table import tables

Tree = Any
METHODS = ("vanilla", "dropout", "damp", "sam", "asam", "self_distillation", "ews", "damp+ews", "ews, weight=0.1")


@pytest.fixture
def grown(grow: Callable[..., Tree]) -> Tree:
    """A study of nine rows and four seeds; subnets of rows with lower corruption error have lower errors."""
    tree = grow(augmentations=("standard",), methods=METHODS, seeds=(0, 1, 2, 3), corruptions=("fog",), logs=False)
    tree.ask("subnets", SUBNETS)
    for place, entry in enumerate(tree.entries):
        path = tree.results(place) / "corruption.json"
        rank, random = METHODS.index(entry["label"]["method"]), numpy_stream("figure", place)
        corrupted = 55 - 1.5 * rank + random.normal()
        for row in (rows := json.loads(path.read_text())["result"]["rows"]):
            row["error"] = corrupted
        tree.write(place, "corruption", {"imagenet": False, "rows": rows, "corruptions": {}})
        tree.write(place, "subnets", subnets_found(45 + 1.1 * (corrupted - 50) + 2 * random.normal()))
    return tree


def study_of(tree: Tree) -> training_logs.Study:
    study = study_rows.load(tree.study)
    found, _ = measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return training_logs.Study(study, table_data.build(study, found, reported.load()), Inputs(tree.runs))


def test_points_are_seeds_and_means(grown: Tree, tmp_path: Path) -> None:
    study = study_of(grown)
    row = plot_subnets.measured(study, study.results.labels[2])
    assert row is not None and len(row.corrupted) == len(row.subnets) == 4
    with plotting.settings():
        figure = plot_subnets.subnets(study)
        (tmp_path / "subnets.svg").write_bytes(plotting.drawn(figure, "svg", title="subnets"))
    first, second = figure.axes
    for axes, full in ((first, 100), (second, 94.6)):
        value = [full - one.mean for one in row.subnets]
        seeds, mean = axes.lines[2], axes.lines[len(METHODS) + 2]
        np.testing.assert_allclose(seeds.get_xdata(), row.corrupted)
        np.testing.assert_allclose(seeds.get_ydata(), value)
        assert mean.get_xydata()[0] == pytest.approx([np.mean(row.corrupted), np.mean(value)])
    title = first.get_title()
    assert "between methods: r = -0.9" in title and f"n = {len(METHODS)}" in title
    assert "within methods: r = -" in title and f"n = {4 * len(METHODS)}" in title
    text = (tmp_path / "subnets.svg").read_text()
    assert "300 random subnets of width 0.7" in text and "1,000 validation images" in text and "n = 4 seeds" in text
    assert "at most 128 images" in text


def test_tables_explain_the_subnets(grown: Tree) -> None:
    study, numbers = study_rows.load(grown.study), reported.load()
    found, records = measure(study, inputs=Inputs(grown.runs), reported=numbers)
    values = {(one.label.method, one.seed, one.metric): one.value for one in found}
    weak, mean = (values["vanilla", 0, f"subnets: {name}"] for name in ("95 % quantile", "mean error"))
    assert weak - mean == pytest.approx(5.4)
    text = " ".join(tables(study, found, records=records, reported=numbers)["table.md"].split())
    assert "subnets: mean error (%)" in text and "errors of 300 random subnets of width 0.7" in text


def test_networks_on_other_subnets_are_not_drawn_together(grown: Tree) -> None:
    grown.write(5, "subnets", subnets_found(40.0, subnets="1" * 64))
    with pytest.raises(EwsError, match="not measured on the same random subnets"):
        plot_subnets.subnets(study_of(grown))


def test_without_corruptions_the_figure_says_so(grown: Tree) -> None:
    grown.evaluations("clean", "subnets")
    figure = plot_subnets.subnets(study_of(grown))
    assert "add corruption" in figure.axes[0].texts[0].get_text()
