"""The evaluations with a figure of their own: what tables, captions and figures say of made-up findings."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import SUBNETS, described, mimicked, subnets_found
from helpers.workflow import ROOT
from matplotlib.figure import Figure

from ews.core import sums
from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.core.seeds import numpy_stream
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report import (
    figures,
    measurements,
    plot_filters,
    plot_mimicry,
    reported,
    study_rows,
    table_data,
    training_logs,
)
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measure import means, measure
from ews.pipeline.report.report_command import main
from ews.pipeline.report.table import tables

Tree = Any
Grow = Callable[..., Tree]
NAMES = ("fog", "snow")
LAYERS = ("stem", "blocks.0.convs.0", "blocks.0.convs.1", "blocks.1.convs.0", "blocks.1.convs.1")
METHODS = ("vanilla", "damp")
LEVEL = {"vanilla": 40.0, "damp": 60.0}


@pytest.fixture
def grown(grow: Grow) -> Tree:
    """A study of two rows and two seeds that asks for both evaluations."""
    tree = grow(augmentations=("standard",), methods=METHODS, seeds=(0, 1), logs=False)
    mimicry = {"names": list(NAMES), "seed": 0, "profile": "cifar", "severity": 3, "images": 200, "steps": 20}
    tree.ask("mimicry", mimicry)
    tree.ask("subnets", SUBNETS)
    tree.ask("filters", {"bins": 4, "reach": 2.0, "near_zero": 0.1})
    for place, entry in enumerate(tree.entries):
        level = LEVEL[entry["label"]["method"]] + 10 * entry["cell"]["seed"]
        rows = [mimicked(name, level + 2 * rank) for rank, name in enumerate(NAMES)]
        tree.write(place, "mimicry", {"rows": rows, "fitted": 90, "held_out": 110, "factors": 1000})
        layers = [described(layer, level, rank) for rank, layer in enumerate(LAYERS)]
        arrays = tree.results(place) / "filters.npz"
        counts = np.array([[10, 30, 40, 10]] * len(LAYERS)) + entry["cell"]["seed"] * np.array([0, 4, -4, 0])
        np.savez(
            arrays,
            edges=np.linspace(-2, 2, 5),
            standard=counts,
            plain=counts[:, ::-1],
            weights=np.full(len(LAYERS), 100),
        )
        tree.write(place, "subnets", subnets_found(level))
        tree.write(place, "filters", {"last": layers, "best": None})
    return tree


def texts(tree: Tree) -> tuple[dict[tuple[str, int, str], float], dict[str, str]]:
    study, numbers = study_rows.load(tree.study), reported.load()
    found, records = measure(study, inputs=Inputs(tree.runs), reported=numbers)
    by_key = {(one.label.method, one.seed, one.metric): one.value for one in found}
    return by_key, tables(study, found, records=records, reported=numbers)


def study_of(tree: Tree) -> training_logs.Study:
    study = study_rows.load(tree.study)
    found, _ = measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return training_logs.Study(study, table_data.build(study, found, reported.load()), Inputs(tree.runs))


def test_numbers_are_means_and_stand_in_the_further_table_without_a_winner(grown: Tree) -> None:
    numbers, files = texts(grown)
    assert numbers["vanilla", 0, "mimicked: held-out images"] == pytest.approx(41)
    assert numbers["damp", 1, "mimicked: fitted images"] == pytest.approx(91)
    assert numbers["damp", 1, "mimicked: by a constant"] == pytest.approx(41)
    assert numbers["vanilla", 0, "spread of factors"] == pytest.approx(4.1)
    # (40 + 42) / 50 of an increase of 2 + 2.
    assert numbers["vanilla", 0, "mimicked: loss increase"] == pytest.approx(41)
    assert numbers["vanilla", 0, "filters: scale"] == pytest.approx(0.4 * 5)
    assert numbers["damp", 0, "filters: kurtosis"] == pytest.approx(5)
    (row,) = [line for line in files["table.md"].splitlines() if "46.00" in line]
    assert "**" not in row and "vanilla" in row
    assert "filters: kurtosis |" in files["table.md"] and "filters: near zero (%)" in files["table.md"]
    assert "at severity 3" in files["table.md"] and "20 steps of L-BFGS" in files["table.md"]
    assert "on 110 images that were not fitted" in files["table.md"].replace("\n", " ")
    assert "in bold the best mean of each group." not in files["table.md"].partition("Mimicked:")[2].partition("\n")[0]


def _not_raised(tree: Tree, *seeds: int) -> None:
    """Let corruptions lower the loss of vanilla for some seeds."""
    rows = [{**mimicked(name, 40.0), "losses": {"clean": 0.5, "corrupted": 0.4, "mimicked": 0.6}} for name in NAMES]
    for place, entry in enumerate(tree.entries):
        if entry["label"]["method"] == "vanilla" and entry["cell"]["seed"] in seeds:
            tree.write(place, "mimicry", {"rows": rows, "fitted": 90, "held_out": 110, "factors": 1000})


def test_a_number_that_one_seed_lacks_stands_in_no_table(grown: Tree) -> None:
    _not_raised(grown, 1)
    numbers, files = texts(grown)
    loss = "mimicked: loss increase"
    # What was measured stays in measurements.csv, and is averaged nowhere.
    assert ("vanilla", 0, loss) in numbers and ("vanilla", 1, loss) not in numbers
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(files["table.csv"]))}
    assert (rows["vanilla"][loss], rows["vanilla"][f"{loss} std"]) == ("", "")
    assert float(rows["damp"][loss]) == pytest.approx((61 + 71) / 2)
    study = study_rows.load(grown.study)
    found, _ = measure(study, inputs=Inputs(grown.runs), reported=reported.load())
    assert [loss in row for row in means(study, found).values()] == [False, True]
    caption = " ".join(files["table.md"].split())
    assert "no number where for some seed this sum is not above 0" in caption
    assert "In percent, means over the corruptions that change the logits" in caption
    assert study_of(grown).seeds() == "n = 2 seeds"


def test_a_loss_increase_that_no_row_has_is_not_spoken_of(grown: Tree) -> None:
    _not_raised(grown, 1)
    grown.manifest["entries"] = [entry for entry in grown.entries if entry["label"]["method"] == "vanilla"]
    grown.rewrite()
    _, files = texts(grown)
    assert "mimicked: held-out images" in files["table.md"] and "loss increase" not in files["table.md"].lower()


def test_the_figure_of_mimicry_shows_means_and_ranges(grown: Tree) -> None:
    found = plot_mimicry.findings(study_of(grown), study_of(grown).results.labels[1])
    assert [one.rows[0].spread for one in found] == pytest.approx([0.06, 0.07])
    shares, spreads = plot_mimicry.mimicry(study_of(grown)).axes
    heights = sorted({round(float(line.get_ydata()[0]), 6) for line in shares.lines if line.get_marker() in "os"})
    # Means over two seeds: held out 45 and 47, 65 and 67, and 20 more on fitted images.
    assert heights == [45, 47, 65, 67, 85, 87]
    assert [text.get_text() for text in shares.get_xticklabels()] == ["Fog", "Snow"]
    points = {(round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6)) for line in spreads.lines}
    assert points == {(22.5, 4.5), (23.5, 4.7), (32.5, 6.5), (33.5, 6.7)}


def test_the_figure_of_filters_shows_densities_of_all_weights(grown: Tree) -> None:
    study = study_of(grown)
    (first, second) = plot_filters.counted(study, study.results.labels[0])
    # A tenth lies beyond the ends: the area is 0.9.
    np.testing.assert_allclose(first.standard.sum(1) * 1.0, 0.9)
    np.testing.assert_allclose(second.standard[0], [0.1, 0.34, 0.36, 0.1])
    figure = plot_filters.filters(study)
    assert [axes.get_title() for axes in figure.axes[:4]] == [LAYERS[0], LAYERS[1], LAYERS[3], LAYERS[4]]
    curves = [line for line in figure.axes[0].lines if line.get_linestyle() != ":"]
    np.testing.assert_allclose(curves[0].get_ydata(), [0.1, 0.32, 0.38, 0.1])
    np.testing.assert_allclose(figure.axes[9].lines[0].get_ydata(), [3, 4, 5, 6, 7])


def _other_network(tree: Tree, layers: list[tuple[str, int]], level: float) -> None:
    """Give the networks of damp other layers: names and numbers of filters, in another order of kurtosis."""
    for place, entry in enumerate(tree.entries):
        if entry["label"]["method"] != "damp":
            continue
        own = [{**described(name, level, rank), "filters": size} for rank, (name, size) in enumerate(layers)]
        counts = np.array([[rank, 0, 0, 0] for rank in range(len(layers))])
        edges, weights = np.linspace(-2, 2, 5), np.full(len(layers), 100)
        np.savez(tree.results(place) / "filters.npz", edges=edges, standard=counts, plain=counts, weights=weights)
        tree.write(place, "filters", {"last": own, "best": None})


def test_the_figure_of_filters_matches_layers_by_name_and_says_what_it_leaves_out(grown: Tree) -> None:
    assert plot_filters.LEFT_OUT not in plot_filters.filters(study_of(grown)).get_suptitle()
    # As where a network is deeper: one more first, and one of a known name that stands in another stage.
    _other_network(grown, [("more", 8), (LAYERS[0], 8), (LAYERS[2], 8), (LAYERS[4], 16)], 50.0)
    figure = plot_filters.filters(study_of(grown))
    assert figure.get_suptitle().endswith(plot_filters.LEFT_OUT)
    assert [axes.get_title() for axes in figure.axes[:4]] == [LAYERS[0], LAYERS[2], "", ""]
    densities = [
        [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() != ":"] for axes in figure.axes[:2]
    ]
    np.testing.assert_allclose(densities, [[0.1, 0.01], [0.1, 0.02]])
    vanilla, damp = (line.get_ydata() for line in figure.axes[9].lines)
    np.testing.assert_allclose(vanilla, [3, 5])
    np.testing.assert_allclose(damp, [4, 5])


def test_the_figure_of_filters_compares_networks_of_other_widths(grown: Tree) -> None:
    _other_network(grown, [(name, 16) for name in LAYERS], 50.0)
    figure = plot_filters.filters(study_of(grown))
    assert plot_filters.LEFT_OUT not in figure.get_suptitle()
    assert [axes.get_title() for axes in figure.axes[:4]] == [LAYERS[0], LAYERS[1], LAYERS[3], LAYERS[4]]


def test_the_figure_of_filters_refuses_rows_without_a_common_layer(grown: Tree) -> None:
    _other_network(grown, [("other", 8), (LAYERS[0], 16)], 50.0)
    with pytest.raises(EwsError, match=r"made_up, standard: no layer of one name and shape.*Make a study for each"):
        plot_filters.filters(study_of(grown))


@pytest.mark.parametrize(("layers", "shown"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (10, [0, 3, 6, 9])])
def test_layers_are_evenly_spaced(layers: int, shown: list[int]) -> None:
    assert plot_filters.few(layers) == shown


def test_a_figure_is_drawn_on_demand_alone(grown: Tree, tmp_path: Path) -> None:
    study = study_rows.load(grown.study)
    found, _ = measure(study, inputs=Inputs(grown.runs), reported=reported.load())
    write_text(grown.out / "measurements.csv", measurements.measurements_csv(found))
    vouched = [grown.study, grown.out / "measurements.csv"]
    sums.write(grown.out, vouched)
    common = ["--study", str(grown.study), "--runs", str(grown.runs)]
    common += ["--measurements", str(grown.out / "measurements.csv")]
    for kind in figures.OF_EVALUATIONS:
        main(["figures", *common, "--out-dir", str(tmp_path / kind), "--evaluation", kind])
        assert [path.name for path in (tmp_path / kind).iterdir()] == [f"{kind}.svg"]
    main(["figures", *common, "--out-dir", str(tmp_path / "usual")])
    assert not {"mimicry.svg", "filters.svg", "subnets.svg"} & {path.name for path in (tmp_path / "usual").iterdir()}
    grown.evaluations("clean", "corruption")
    sums.write(grown.out, vouched)
    with pytest.raises(EwsError, match=r"study 'made_up' does not ask for the evaluation 'mimicry'"):
        main(["figures", *common, "--out-dir", str(tmp_path / "none"), "--evaluation", "mimicry"])


def test_every_evaluation_that_says_so_has_a_figure_and_a_caption() -> None:
    own = {name for name, spec in EVALUATIONS.items() if spec.figure}
    assert set(figures.OF_EVALUATIONS) == own and not own & set(figures.FIGURES)
    assert all((ROOT / "workflow" / "report" / f"{name}.rst").is_file() for name in own)


@pytest.mark.parametrize("draw", figures.OF_EVALUATIONS.values())
def test_rows_without_the_evaluation_are_left_out(grown: Tree, draw: Callable[[training_logs.Study], Figure]) -> None:
    for entry in grown.entries:
        if entry["label"]["method"] == "damp":
            entry["asked"] = [one for one in entry["asked"] if one["kind"] not in figures.OF_EVALUATIONS]
    grown.rewrite()
    assert draw(study_of(grown)).axes


def test_a_share_far_below_zero_is_drawn_at_the_lowest(grown: Tree) -> None:
    rows = [mimicked(name, -30.0 * numpy_stream(name).integers(5, 9)) for name in NAMES]
    rows = [{**row, "spread": 0.1, "error": 5.0, "losses": {**row["losses"], "mimicked": 0.1}} for row in rows]
    for place in range(len(grown.entries)):
        grown.write(place, "mimicry", {"rows": rows, "fitted": 90, "held_out": 110, "factors": 1000})
    shares = plot_mimicry.mimicry(study_of(grown)).axes[0]
    assert min(float(np.min(line.get_ydata())) for line in shares.lines) == plot_mimicry.LOWEST
