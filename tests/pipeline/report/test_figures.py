"""Figures: the numbers in them, the same bytes twice, and every odd study drawn."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from helpers.runs import write_csv
from matplotlib.figure import Figure

from ews.core.errors import EwsError
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK
from ews.pipeline.report import (
    figures,
    measure,
    plot_controller,
    plot_corruption,
    plot_training,
    plotting,
    reported,
    study_rows,
    table_data,
    training_logs,
)
from ews.pipeline.report.inputs import Inputs

Tree = Any
Grow = Callable[..., Tree]
NAMES = {"training", "corruption", "severity", "sweep", "cost", "controller", "kept"}
SVG = "{http://www.w3.org/2000/svg}"


def _save(tree: Tree, folder: Path) -> dict[str, str]:
    study = study_rows.load(tree.study)
    found, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    figures.save(study, found, inputs=Inputs(tree.runs), folder=folder)
    assert {path.name for path in folder.iterdir()} == {f"{name}.svg" for name in NAMES}
    return {path.stem: path.read_text() for path in folder.iterdir()}


def _study(tree: Tree) -> training_logs.Study:
    study = study_rows.load(tree.study)
    found, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return training_logs.Study(study, table_data.build(study, found, reported.load()), Inputs(tree.runs))


def _words(svg: str) -> set[str]:
    return {"".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_figures_are_the_same_bytes_twice_and_hold_text(tree: Tree, tmp_path: Path) -> None:
    first, second = _save(tree, tmp_path / "first"), _save(tree, tmp_path / "second")
    assert first == second
    words = _words(first["corruption"])
    assert {"vanilla", "dropout", "ews", "Gauss.", "JPEG", "error (%)", "standard", "augmix"} <= words
    assert any("n = 3 seeds, 1,000 test images" in word for word in words)
    assert {"epoch", "validation error (%)", "training loss (nats)"} <= _words(first["training"])
    assert {"iteration", "entropy in the bonus (nats)", "batch accuracy (%)"} <= _words(first["controller"])
    for text in first.values():
        assert "<dc:date>" not in text and "Matplotlib" not in text.partition("-->")[2].partition("<defs>")[0]
        assert "$" not in "".join(_words(text))


@pytest.mark.parametrize(("methods", "several"), [(("vanilla", "ews"), False), (("at", "trades"), True)])
def test_losses_of_different_objectives_are_said_to_be_of_different_kinds(
    grow: Grow, methods: tuple[str, ...], several: bool
) -> None:
    figure = plot_training.training(_study(grow(augmentations=("standard",), methods=methods, seeds=(0,))))
    assert ("own of each objective" in figure.axes[1].get_ylabel()) == several
    assert figure.axes[0].get_ylabel() == "validation error (%)"


def test_user_settings_of_matplotlib_change_nothing(grow: Grow, tmp_path: Path) -> None:
    tree = grow(augmentations=("standard",), seeds=(0,), corruptions=("fog",))
    usual = _save(tree, tmp_path / "usual")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9}):
        assert _save(tree, tmp_path / "other") == usual
        assert matplotlib.rcParams["font.size"] == 30


def test_a_study_without_controller_says_so(grow: Grow, tmp_path: Path) -> None:
    texts = _save(grow(methods=("vanilla", "dropout"), augmentations=("standard",), seeds=(0,)), tmp_path / "out")
    assert "No cell of this study has a learned controller." in _words(texts["controller"])
    assert "No cell of this study samples subnets." in _words(texts["kept"])


def test_an_empty_controller_log_is_no_controller(grow: Grow, tmp_path: Path) -> None:
    tree = grow(methods=("vanilla", "ews"), augmentations=("standard",), seeds=(0,))
    (tree.folder(1) / "controller.csv").write_text("")  # a search that does not learn
    tree.seal()
    texts = _save(tree, tmp_path / "out")
    assert "No cell of this study has a learned controller." in _words(texts["controller"])
    assert any("block 2" in word for word in _words(texts["kept"]))


def test_a_study_of_clean_error_alone(grow: Grow, tmp_path: Path) -> None:
    tree = grow(augmentations=("standard",), seeds=(0,), epochs=1)
    tree.evaluations("clean")
    texts = _save(tree, tmp_path / "out")
    assert "This study evaluates no corruptions." in _words(texts["corruption"])
    assert "This study evaluates no corruptions." in _words(texts["severity"])


def test_thirty_rows_and_no_validation_split(grow: Grow, tmp_path: Path) -> None:
    methods = ("vanilla", *(f"ews, width={place / 100}" for place in range(1, 30)))
    tree = grow(augmentations=("standard",), methods=methods, seeds=(0, 1), epochs=2)
    for place in range(len(tree.entries)):
        head = "epoch,learning_rate,train_loss,train_error,weights_sha256"
        (tree.folder(place) / "epochs.csv").write_text(f"{head}\n1,0.1,2.0,0.5,a\n2,0.1,1.0,0.25,b\n")
    tree.seal()
    texts = _save(tree, tmp_path / "out")
    assert set(methods) <= _words(texts["severity"])
    assert set(methods) <= _words(texts["corruption"])
    assert "no validation error in these training runs" in _words(texts["training"])
    assert len({(look.colour, look.dash) for look in plotting.styles(methods[:28]).values()}) == 28
    assert len({(look.colour, look.marker) for look in plotting.styles(methods[:28]).values()}) == 28
    assert len(set(plotting.ramp(methods, methods).values())) == 30
    # One page of panels, and the title says what is not on it.
    assert len([word for word in _words(texts["kept"]) if word.endswith("seed 0")]) == 12
    assert any("the first 12 of 29 rows" in word for word in _words(texts["kept"]))


def test_names_are_text_whatever_they_hold(grow: Grow, tmp_path: Path) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla", "a_$x$ <&> %"), seeds=(0,))
    assert "a_$x$ <&> %" in _words(_save(tree, tmp_path / "out")["severity"])


def test_kept_channels_are_shares_of_the_subnets(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), methods=("ews",), seeds=(0,))
    (tree.folder(0) / "kept.csv").write_text(
        "block,layer,channel,kept,subnets\n0,0,0,10,20\n0,0,1,20,20\n1,0,0,5,20\n1,0,1,0,20\n1,0,2,15,20\n"
    )
    tree.seal()
    study = _study(tree)
    table = training_logs.kept(study, study.manifest.entries[0])
    assert table is not None
    assert (table.layers, table.subnets) == (["block 0", "block 1"], 20)
    np.testing.assert_array_equal(table.shares, [[0.5, 1.0, np.nan], [0.25, 0.0, 0.75]])
    np.testing.assert_allclose(table.offsets, [[-25, 25, np.nan], [-100 / 12, -100 / 3, 500 / 12]])
    # Binomial with the mean share, 1/2, over 20 subnets.
    assert table.chance == pytest.approx(100 * (0.5 * 0.5 / 20) ** 0.5)


def test_curves_over_seeds(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla",), seeds=(0, 1))
    for place, errors in enumerate(((0.5, 0.25), (0.25, 0.125))):
        rows = [
            {"epoch": epoch + 1, "learning_rate": 0.1, "train_loss": 1.0, "train_error": 0.5, "validation_error": error}
            | {"weights_sha256": "0"}
            for epoch, error in enumerate(errors)
        ]
        write_csv(tree.folder(place) / "epochs.csv", rows)
    tree.seal()
    study = _study(tree)
    curve = training_logs.epochs(study, study.results.labels[0], "validation_error", scale=100.0)
    assert curve is not None
    assert curve.x.tolist() == [1, 2]
    assert curve.mean.tolist() == [37.5, 18.75]
    assert curve.low.tolist() == [25, 12.5] and curve.high.tolist() == [50, 25]


def test_running_mean_is_centred_and_shorter_at_the_ends() -> None:
    assert training_logs.running_mean([1, 2, 6, 9], 3) == [1.5, 3, 17 / 3, 7.5]
    assert training_logs.running_mean([1, 2, 6, 9], 1) == [1, 2, 6, 9]


def test_severities_are_means_over_the_corruptions(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla",), seeds=(0,), corruptions=("fog", "snow"))
    rows = [
        {"corruption": name, "severity": s, "error": float(base + s), "n": 100}
        for name, base in (("fog", 10), ("snow", 20))
        for s in range(1, 6)
    ]
    tree.write(0, "corruption", {"imagenet": False, "rows": rows, "corruptions": {}})
    study = _study(tree)
    points = training_logs.severities(study, study.results.labels[0], ("fog", "snow"))
    assert points == {s: [15.0 + s] for s in range(1, 6)}


@pytest.mark.parametrize("draw", [plot_corruption.corruption, plot_corruption.severity])
def test_no_panel_is_cut_to_the_errors_of_the_first(grow: Grow, draw: Callable[[training_logs.Study], Figure]) -> None:
    tree = grow(methods=("vanilla",), seeds=(0,))
    for place, lift in ((0, 0.0), (1, 90.0)):
        rows = [
            {"corruption": name, "severity": s, "error": lift + s, "n": 100} for name in BENCHMARK for s in range(1, 6)
        ]
        tree.write(place, "corruption", {"imagenet": False, "rows": rows, "corruptions": {}})
    first, second = draw(_study(tree)).axes
    highest = max(np.max(line.get_ydata()) for line in second.lines if len(line.get_ydata()) > 2)
    assert highest > 90
    for axes in (first, second):
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > highest


@pytest.mark.parametrize(
    ("name", "draw"), [("controller.csv", plot_controller.controller), ("kept.csv", plot_controller.kept)]
)
def test_numbers_that_are_none_are_named(tree: Tree, name: str, draw: Callable[[training_logs.Study], Figure]) -> None:
    path = tree.runs / "digits/resnet8/augmix/ews/seed1" / name
    lines = path.read_text().splitlines()
    lines[3] = re.sub(r"[^,]+$", "nan", lines[3])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(EwsError, match=rf"{name}: damaged, or of another run: .* train this run again"):
        draw(_study(tree))
    tree.seal()
    with pytest.raises(EwsError, match=rf"{name}: row 4: .*, not 'nan'\n.*train this run again"):
        draw(_study(tree))


def test_kept_without_its_columns_is_refused(tree: Tree) -> None:
    path = tree.runs / "digits/resnet8/augmix/ews/seed1/kept.csv"
    path.write_text("block,layer,channel,kept\n0,0,0,3\n")
    tree.seal()
    with pytest.raises(EwsError, match=r"kept\.csv: row 2: subnets: Field required"):
        plot_controller.kept(_study(tree))
