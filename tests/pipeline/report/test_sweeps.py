"""What a study sweeps, the comparison with its reference, and the figure that is drawn of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from ews.pipeline.report import (
    figures,
    layout_paired,
    measure,
    plot_sweep,
    plotting,
    reported,
    study_rows,
    sweeps,
    table_data,
    training_logs,
)
from ews.pipeline.report.inputs import Inputs

Tree = Any
Grow = Callable[..., Tree]
SEARCH = ("vanilla", "ews, search=learned", "ews, search=random", "ews, search=bandit")
WIDTHS = ("vanilla", "ews, width=0.7", "ews, width=0.1", "ews, width=0.3")
SMALL: dict[str, Any] = {"augmentations": ("standard",), "seeds": (0, 1, 2), "logs": False}


def _study(tree: Tree) -> training_logs.Study:
    study = study_rows.load(tree.study)
    found, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return training_logs.Study(study, table_data.build(study, found, reported.load()), Inputs(tree.runs))


def _find(tree: Tree) -> sweeps.Sweep:
    found = sweeps.find(study_rows.load(tree.study))
    assert found is not None
    return found


def _draw(tree: Tree) -> Figure:
    with plotting.settings():
        return plot_sweep.sweep(_study(tree))


def _bars(axes: Axes) -> list[ErrorbarContainer]:
    return [one for one in axes.containers if isinstance(one, ErrorbarContainer)]


def test_numbers_ascend_and_are_compared_with_vanilla(grow: Grow) -> None:
    found = _find(grow(**SMALL, methods=WIDTHS))
    assert (found.parameter, found.values, found.numeric, found.reference) == ("ews.width", (0.1, 0.3, 0.7), True, None)
    (line,) = found.lines
    assert [value for value, _ in line.points] == [0.1, 0.3, 0.7]
    assert [label.method for _, label in line.points] == ["ews, width=0.1", "ews, width=0.3", "ews, width=0.7"]
    assert line.baseline is not None and line.baseline.method == "vanilla"
    assert line.name == "ews"


def test_names_keep_the_study_s_order_and_have_a_reference(grow: Grow) -> None:
    found = _find(grow(**SMALL, methods=SEARCH))
    assert (found.parameter, found.values, found.numeric) == ("ews.search", ("learned", "random", "bandit"), False)
    assert found.reference == "random"
    assert _find(grow(**SMALL, methods=(*SEARCH[:2], SEARCH[3]))).reference is None


def test_truth_values_are_names() -> None:
    assert not sweeps.Sweep("ews.on", (False, True), ()).numeric
    assert sweeps.Sweep("ews.width", (0, 1), ()).numeric


@pytest.mark.parametrize(
    "plan",
    [
        {"methods": ("vanilla", "dropout", "ews")},
        {"methods": ("vanilla", "ews, width=0.5")},
        # Of the recipe, not of the method.
        {
            "methods": ("vanilla, epochs=3", "vanilla, epochs=6"),
            "recipes": {f"vanilla, epochs={n}": {"epochs": n} for n in (3, 6)},
        },
    ],
)
def test_studies_that_sweep_no_method_s_parameter(grow: Grow, tmp_path: Path, plan: dict[str, Any]) -> None:
    tree = grow(**SMALL, **plan)
    assert sweeps.find(study_rows.load(tree.study)) is None
    study = _study(tree)
    assert layout_paired.reference_grid(study.manifest, study.results) is None
    found, _ = measure.measure(study.manifest, inputs=Inputs(tree.runs), reported=reported.load())
    figures.save(study.manifest, found, inputs=Inputs(tree.runs), folder=tmp_path)
    assert "This study sweeps no parameter of a method." in (tmp_path / "sweep.svg").read_text()


def test_lines_are_named_by_what_varies(grow: Grow) -> None:
    augmentations = ("standard", "augmix")
    tree = grow(**SMALL | {"augmentations": augmentations}, methods=WIDTHS)
    assert [line.name for line in _find(tree).lines] == ["standard", "augmix"]
    methods = [f"{name}, width={width}" for name in ("ews", "dropout+ews") for width in (0.1, 0.5)]
    assert [line.name for line in _find(grow(**SMALL, methods=tuple(methods))).lines] == ["ews", "dropout+ews"]
    tree = grow(**SMALL | {"augmentations": augmentations}, methods=tuple(methods))
    assert [line.name for line in _find(tree).lines] == [
        *("standard, ews", "standard, dropout+ews", "augmix, ews", "augmix, dropout+ews"),
    ]


def test_of_two_parameters_the_one_with_most_values_is_the_axis(grow: Grow) -> None:
    methods = tuple(f"ews, rounding={how}, width={width}" for how in ("ceil", "expected") for width in (0.1, 0.5, 0.9))
    found = _find(grow(**SMALL, methods=methods))
    assert found.parameter == "ews.width"
    assert [line.name for line in found.lines] == ["ews, rounding=ceil", "ews, rounding=expected"]
    assert [len(line.points) for line in found.lines] == [3, 3]
    assert {line.baseline for line in found.lines} == {None}


def test_every_value_less_the_reference_seed_by_seed(grow: Grow) -> None:
    tree = grow(**SMALL, methods=SEARCH)
    tree.errors(
        **{SEARCH[0]: (1, 1, 1), SEARCH[1]: (9.0, 11.0, 10.0), SEARCH[2]: (10.0, 11.0, 12.0), SEARCH[3]: (11, 12, 13)}
    )
    study = _study(tree)
    grid = layout_paired.reference_grid(study.manifest, study.results)
    assert grid is not None
    assert [row.heads[-1] for row in grid.rows] == [SEARCH[1], SEARCH[3]]
    # Differences -1, 0, -2: mean -1, half width 4.302653 / sqrt(3) = 2.484; and 1, 1, 1.
    assert [row.cells[0].text for row in grid.rows] == ["−1.00 [−3.48, +1.48]", "+1.00"]
    assert [row.cells[-1].text for row in grid.rows] == ["3", "3"]
    assert "with ews.search = random" in grid.caption


def test_the_reference_is_that_of_the_same_augmentation(grow: Grow) -> None:
    tree = grow(**SMALL | {"augmentations": ("standard", "augmix")}, methods=SEARCH)
    tree.errors(**{SEARCH[1]: (9.0, 10.0, 11.0), SEARCH[2]: (10.0, 11.0, 12.0)})
    for place, entry in enumerate(tree.entries):
        if (entry["label"]["augmentation"], entry["label"]["method"]) == ("augmix", SEARCH[2]):
            clean = {"error": 20.0 + entry["cell"]["seed"], "correct": 0, "n": 1000}
            tree.write(place, "clean", {"last": clean, "best": None})
    study = _study(tree)
    grid = layout_paired.reference_grid(study.manifest, study.results)
    assert grid is not None
    learned = {row.heads[0]: row.cells[0].text for row in grid.rows if row.heads[-1] == SEARCH[1]}
    assert learned == {"standard": "−1.00", "augmix": "−11.00"}


def test_one_seed_has_no_reference_table(grow: Grow) -> None:
    study = _study(grow(**SMALL | {"seeds": (0,)}, methods=SEARCH))
    assert layout_paired.reference_grid(study.manifest, study.results) is None


def test_curves_hold_means_spreads_seeds_and_vanilla(grow: Grow) -> None:
    methods = ("vanilla", "ews, interval=1", "ews, interval=100")
    seconds = {"vanilla": (1.0, 2.0, 4.0), "ews, interval=1": (3.0, 4.0, 8.0), "ews, interval=100": (2.0, 4.0, 8.0)}
    tree = grow(**SMALL, methods=methods, seconds=seconds)
    tree.errors(**{"vanilla": (10, 11, 12), "ews, interval=1": (1, 2, 6), "ews, interval=100": (4, 5, 6)})
    clean, corruption, cost = _draw(tree).axes
    assert [axes.get_ylabel() for axes in (clean, corruption, cost)] == [
        *("clean error (%)", "corruption error (%)", "training cost (× vanilla)"),
    ]
    assert clean.get_xscale() == "log"
    assert [tick.get_text() for tick in clean.get_xticklabels()] == ["1", "100"]
    (bars,) = _bars(clean)
    assert bars.lines[0].get_xydata().tolist() == [[1, 3], [100, 5]]
    (segments,) = [collection.get_segments() for collection in bars.lines[2]]
    # s = sqrt(7) and 1.
    assert [segment[:, 1].tolist() for segment in segments] == [
        pytest.approx([3 - 7**0.5, 3 + 7**0.5]),
        pytest.approx([4, 6]),
    ]
    dots = next(line for line in clean.lines if line.get_linestyle() == "None" and len(line.get_xydata()) == 6)
    assert sorted(dots.get_ydata()) == [1, 2, 4, 5, 6, 6]
    assert [line.get_ydata()[0] for line in clean.lines if line.get_linestyle() == "--"] == [11]
    ((low, high),) = [(patch.get_y(), patch.get_y() + patch.get_height()) for patch in clean.patches]
    assert (low, high) == (10, 12)  # s = 1
    (bars,) = _bars(cost)
    assert bars.lines[0].get_ydata().tolist() == [pytest.approx(7 / 3), 2]
    assert [line.get_ydata()[0] for line in cost.lines if line.get_linestyle() == "--"] == [1]


def test_dots_hold_means_and_t_intervals_with_vanilla_on_top(grow: Grow) -> None:
    tree = grow(**SMALL, methods=SEARCH)
    tree.errors(**{SEARCH[0]: (10, 11, 12), SEARCH[1]: (1, 2, 6), SEARCH[2]: (4, 5, 6), SEARCH[3]: (7, 7, 7)})
    clean, _, cost = _draw(tree).axes
    assert [tick.get_text() for tick in clean.get_yticklabels()] == ["vanilla", "learned", "random", "bandit"]
    bottom, top = clean.get_ylim()
    assert bottom > top  # the first row is the uppermost
    points = [bars.lines[0].get_xydata().tolist()[0] for bars in _bars(clean)]
    assert points == [[11, 0], [3, 1], [5, 2], [7, 3]]
    ends = _bars(clean)[1].lines[2][0].get_segments()[0][:, 0]
    half = 4.302653 * (7 / 3) ** 0.5
    assert ends.tolist() == pytest.approx([3 - half, 3 + half], abs=1e-5)
    assert len(_bars(cost)) == 3


@pytest.mark.parametrize(
    ("values", "scale", "ticks"),
    [
        ((0.1, 0.3, 0.9), "linear", ["0.1", "0.3", "0.9"]),
        ((0.0, 0.01, 10.0), "symlog", ["0", "0.01", "10"]),
        ((1, 2, 10), "linear", ["1", "2", "10"]),
        ((1, 2, 11), "log", ["1", "2", "11"]),
    ],
)
def test_the_axis_is_logarithmic_beyond_a_decade(grow: Grow, values: Any, scale: str, ticks: list[str]) -> None:
    figure = _draw(grow(**SMALL, methods=("vanilla", *(f"ews, weight={value}" for value in values))))
    assert {axes.get_xscale() for axes in figure.axes} == {scale}
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ticks
    x = _bars(figure.axes[0])[0].lines[0].get_xdata()
    assert list(x) == pytest.approx(list(values))


def test_each_augmentation_has_a_line_and_a_vanilla_of_its_colour(grow: Grow) -> None:
    tree = grow(**SMALL | {"augmentations": ("standard", "autoaugment", "augmix")}, methods=WIDTHS)
    axes = _draw(tree).axes[0]
    lines = [bars.lines[0] for bars in _bars(axes)]
    colours = [line.get_color() for line in lines]
    assert len(set(colours)) == 3
    assert [line.get_color() for line in axes.lines if line.get_linestyle() == "--"] == colours
    # Points beside each other, around their value.
    x = [line.get_xdata()[0] for line in lines]
    assert x == sorted(set(x)) and x[1] == pytest.approx(0.1) and x[2] - x[0] < 0.1


@pytest.mark.parametrize("values", [("width=0.1", "width=0.9"), ("search=learned", "search=random")])
def test_lines_with_one_vanilla_draw_it_once_and_in_black(grow: Grow, values: tuple[str, ...]) -> None:
    methods = ("vanilla", *(f"{name}, {value}" for name in ("ews", "dropout+ews") for value in values))
    axes = _draw(grow(**SMALL, methods=methods)).axes[0]
    assert [line.get_color() for line in axes.lines if line.get_linestyle() == "--"] == [plotting.COLOURS[0]]
    if values[0].startswith("search"):
        assert [bars.lines[0].get_ydata()[0] for bars in _bars(axes)] == [0, 0.75, 1.75, 1.25, 2.25]


def test_without_vanilla_there_is_no_row_for_it(grow: Grow) -> None:
    axes = _draw(grow(**SMALL, methods=SEARCH[1:])).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["learned", "random", "bandit"]
    assert [bars.lines[0].get_ydata()[0] for bars in _bars(axes)] == [0, 1, 2]


def test_each_data_set_has_panels_of_its_own(grow: Grow) -> None:
    figure = _draw(grow(**SMALL, datasets=("a", "b"), methods=WIDTHS))
    assert [axes.get_title(loc="left") for axes in figure.axes[::3]] == ["a, resnet8", "b, resnet8"]
    assert all(len(_bars(axes)) == 1 for axes in figure.axes)


@pytest.mark.parametrize("methods", [WIDTHS, SEARCH, WIDTHS[1:], SEARCH[1:]])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("timed", [True, False])
def test_odd_studies_are_drawn(
    grow: Grow, tmp_path: Path, methods: tuple[str, ...], seeds: tuple[int, ...], timed: bool
) -> None:
    tree = grow(**SMALL | {"seeds": seeds}, methods=methods, corruptions=("fog",))
    if not timed:
        for place in range(len(tree.entries)):
            tree.change(place, "record.json", lambda record: record.update(epoch_seconds=None))
    # Of those that have all that a study can have, each kind twice.
    names = ("first.svg", "second.svg") if timed and len(seeds) > 1 else ("first.svg",)
    for name in names:
        with plotting.settings():
            (tmp_path / name).write_bytes(plotting.drawn(plot_sweep.sweep(_study(tree)), "svg", title="sweep"))
    (text,) = {(tmp_path / name).read_text() for name in names}
    words = {"".join(element.itertext()) for element in ElementTree.fromstring(text).iterfind(".//{*}text")}
    assert {"clean error (%)", "error on 1 corruption (%)"} <= words
    compared = timed and methods[0] == "vanilla"
    assert ("training cost (× vanilla)" in words) == compared
    assert any("such an epoch of vanilla takes 8.00 s" in word for word in words) == compared
