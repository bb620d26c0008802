"""The figure of error against the cost of a training run."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.runs import reseal
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from ews.pipeline.report import cost, measure, plot_cost, plotting, reported, study_rows, table_data, training_logs
from ews.pipeline.report.inputs import Inputs

Tree = Any
Grow = Callable[..., Tree]
SECONDS = {"vanilla": (10.0, 12.0, 14.0), "dropout": (60.0, 60.0, 60.0), "ews": (120.0, 120.0, 120.0)}


def _study(tree: Tree) -> training_logs.Study:
    study = study_rows.load(tree.study)
    found, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return training_logs.Study(study, table_data.build(study, found, reported.load()), Inputs(tree.runs))


def _draw(tree: Tree) -> Figure:
    with plotting.settings():
        return plot_cost.trade(_study(tree))


def _seconds(tree: Tree) -> dict[str, list[float]]:
    study = study_rows.load(tree.study)
    found = _study(tree)
    costs = cost.costs(study, training_logs.records(found))
    taught = {run: cost.epoch_seconds(record) for run, record in training_logs.teachers(found).items()}
    return {label.method: plot_cost.training_seconds(study, label, costs, taught) for label in study.labels}


def test_a_training_costs_its_epochs(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12)
    assert _seconds(tree) == {"vanilla": [120, 144, 168], "dropout": [720] * 3, "ews": [1440] * 3}


def _teach(tree: Tree, student: str, teacher: str) -> None:
    """Make a method learn from another's network of the same seed."""
    for entry in tree.entries:
        if entry["label"]["method"] == student:
            cell = entry["cell"]
            run = {
                **{"run": entry["run"].replace(student, teacher), "weights": "last", "method": teacher},
                **{"architecture": cell["architecture"], "augmentation": "standard", "seed": cell["seed"]},
            }
            cell["teachers"] = {"a": run, "b": run}
    tree.seal()
    tree.rewrite()


def test_a_student_costs_its_teacher_too_once(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12, logs=False)
    _teach(tree, "dropout", "vanilla")
    _teach(tree, "ews", "dropout")
    assert _seconds(tree) == {
        "vanilla": [120, 144, 168],
        "dropout": [840, 864, 888],
        "ews": [2280, 2304, 2328],
    }


def _elsewhere(tree: Tree, clock: dict[str, str] | None = None) -> None:
    """Make the rows learn from runs that are none of the study's: copies of vanilla's, as many seconds an epoch."""
    _teach(tree, "ews", "elsewhere")
    for entry in tree.entries[:3]:
        run = entry["run"].replace("vanilla", "elsewhere")
        folder = tree.runs / run
        shutil.copytree(tree.runs / entry["run"], folder)
        reseal(folder / "record.json", lambda record: record["hardware"].update(clock or {}))
        tree.manifest["teachers"][run] = entry["cell"]
    tree.rewrite()


def test_a_student_costs_a_teacher_that_is_no_row(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12, logs=False)
    _elsewhere(tree)
    assert _seconds(tree)["ews"] == [1440 + 120, 1440 + 144, 1440 + 168]
    title = _draw(tree).get_suptitle()
    assert "not shown" not in title and "the training run, teachers' training runs included, mean" in title


def test_a_teacher_on_another_clock_cannot_be_added(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12, logs=False)
    _elsewhere(tree, {"device": "cuda"})
    assert _seconds(tree)["ews"] == []


def test_the_cost_of_a_student_of_an_unknown_teacher_is_unknown_and_the_figure_says_so(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12, logs=False)
    _teach(tree, "ews", "elsewhere")
    assert _seconds(tree)["ews"] == []
    assert _draw(tree).get_suptitle().endswith("not shown, as their cost is not known: ews")


def test_points_stand_at_cost_and_error_and_the_front_steps_down(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), seconds=SECONDS, epochs=12)
    tree.errors(vanilla=(8.0, 9.0, 10.0), dropout=(11.0, 11.0, 11.0), ews=(5.0, 6.0, 7.0))
    figure = _draw(tree)
    clean, corruption = figure.axes
    assert clean.get_ylabel() == "clean error (%)" and corruption.get_ylabel() == "corruption error (%)"
    assert clean.get_xlabel() == "processor minutes of one training run"
    bars = [one for one in clean.containers if isinstance(one, ErrorbarContainer)]
    places = [(float(bar.lines[0].get_xdata()[0]), float(bar.lines[0].get_ydata()[0])) for bar in bars]
    assert np.allclose(places, [(2.4, 9), (12, 11), (24, 6)])
    # Both spreads of the first row: seconds 120, 144, 168 and errors 8, 9, 10.
    ends = [np.ptp(lines.get_segments()[0], axis=0) for lines in bars[0].lines[2]]
    assert np.allclose(sorted(map(max, ends)), [2 * 0.4, 2 * 1.0])
    (front,) = [line for line in clean.get_lines() if line.get_drawstyle() == "steps-post"]
    assert np.allclose(front.get_xydata(), [(2.4, 9), (24, 6), (24, 6)])
    assert clean.get_xscale() == "log"


def test_groups_have_rows_of_panels(grow: Grow) -> None:
    figure = _draw(grow(seconds=SECONDS))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["standard", "", "augmix", ""]


@pytest.mark.parametrize("methods", [("ews",), ("vanilla", "ews")])
def test_without_a_comparable_cost_the_figure_says_so(grow: Grow, methods: tuple[str, ...]) -> None:
    tree = grow(augmentations=("standard",), methods=methods, logs=False)
    for place in range(3, len(tree.entries)):
        tree.change(place, "record.json", lambda record: record["hardware"].update(device="cuda", gpu="A GPU"))
    (axes,) = _draw(tree).axes
    assert "Fewer than two rows" in axes.texts[0].get_text()
