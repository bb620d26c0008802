"""Tables against values worked out by hand, and the same content in every format."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.report import latex, layout, markdown, measure, reported, study_rows, table, table_data
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.layout import Column
from ews.pipeline.report.statistics import detectable
from ews.pipeline.report.table_data import best

Tree = Any
Grow = Callable[..., Tree]
# Clean errors by method, seeds 0, 1, 2.
VANILLA, DROPOUT, EWS = (10.0, 11.0, 12.0), (10.0, 10.5, 11.0), (9.0, 11.0, 10.0)


def _results(tree: Tree) -> tuple[study_rows.Manifest, table_data.Results]:
    study = study_rows.load(tree.study)
    found, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return study, table_data.build(study, found, reported.load())


def _texts(tree: Tree) -> dict[str, str]:
    study = study_rows.load(tree.study)
    found, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    texts = table.tables(study, found, records=records, reported=reported.load())
    # The columns are padded to line up, which says nothing.
    return texts | {"table.md": re.sub(" +", " ", texts["table.md"])}


def _lines(tree: Tree) -> dict[tuple[str, ...], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(_texts(tree)["table.csv"]))
    return {(row["dataset"], row["architecture"], row["augmentation"], row["method"]): row for row in rows}


def test_mean_spread_difference_and_interval(tree: Tree) -> None:
    tree.errors(vanilla=VANILLA, dropout=DROPOUT, ews=EWS)
    row = _lines(tree)["digits", "resnet8", "augmix", "ews"]
    assert (row["clean error"], row["clean error std"], row["seeds"]) == ("10.00", "1.00", "3")
    # Differences -1, 0, -2: mean -1, s 1, half width 4.302653 / sqrt(3) = 2.484.
    assert row["clean error difference"] == "-1.00"
    assert (row["clean error difference low"], row["clean error difference high"]) == ("-3.48", "1.48")
    assert row["clean error difference pairs"] == "3"
    assert (row["clean error n"], row["clean error best"], row["clean error reported"]) == ("1000", "yes", "")
    vanilla = _lines(tree)["digits", "resnet8", "augmix", "vanilla"]
    assert vanilla["clean error difference"] == ""
    assert (vanilla["clean error std"], vanilla["clean error best"]) == ("1.00", "no")


def test_the_printed_row_says_the_same_in_every_format(tree: Tree) -> None:
    tree.errors(vanilla=VANILLA, dropout=DROPOUT, ews=EWS)
    texts = _texts(tree)
    assert re.search(r"\| \| ews \| \*\*10\.00\*\* ± 1\.00 \(−1\.00\) \|", texts["table.md"])
    assert r" & ews & \textbf{10.00} $\pm$ 1.00 ($-$1.00) &" in texts["table.tex"]
    plain = re.sub(r"<[^>]+>", "", texts["table.html"])
    assert "10.00 ± 1.00 (−1.00)" in plain and "<strong>10.00</strong>" in texts["table.html"]
    caption = texts["caption.txt"].strip()
    assert caption in plain.replace("&#39;", "'")
    assert latex.escape(caption) in texts["table.tex"]
    assert markdown.escape(caption) in texts["table.md"]


def test_bold_only_for_the_single_lowest_of_a_group(tree: Tree) -> None:
    tree.errors(vanilla=VANILLA, dropout=DROPOUT, ews=EWS)
    _, results = _results(tree)
    bold = best(results, "clean error", digits=2)
    assert {(label.augmentation, label.method) for label in bold} == {("standard", "ews"), ("augmix", "ews")}


@pytest.mark.parametrize(("lowest", "bold"), [(9.996, False), (10.004, False), (9.99, True)])
def test_rows_that_print_alike_are_a_tie(grow: Grow, lowest: float, bold: bool) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla", "ews"), seeds=(0,))
    tree.errors(vanilla=[10.0], ews=[lowest])
    _, results = _results(tree)
    assert bool(best(results, "clean error", digits=2)) == bold


def test_a_row_alone_is_not_best(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), methods=("ews",), seeds=(0, 1))
    _, results = _results(tree)
    assert best(results, "clean error", digits=2) == set()
    assert all(value.change is None for row in results.values.values() for value in row.values())
    assert "brackets" not in _texts(tree)["caption.txt"]


def test_one_seed_has_no_spread_and_no_paired_table(grow: Grow) -> None:
    tree = grow(seeds=(4,))
    texts = _texts(tree)
    assert "±" not in texts["table.md"]
    assert "there is 1 seed (4)" in texts["caption.txt"]
    assert "Paired comparison" not in texts["table.md"]
    assert {row["clean error std"] for row in _lines(tree).values()} == {""}


def test_the_paired_comparison_says_what_so_many_seeds_can_show(grow: Grow) -> None:
    tree = grow(
        augmentations=("standard",), methods=("vanilla", "dropout", "ews"), seeds=(0, 1, 2), corruptions=("fog",)
    )
    tree.errors(vanilla=(10, 12, 14), dropout=(9, 12, 12), ews=(9, 10, 13))
    text = " ".join(_texts(tree)["table.md"].split())
    # Both with vanilla and ews with dropout, in two metrics; clean errors of these spread by 2 and the root of 3.
    assert "two-sided at 5 % divided by the 6 comparisons here" in text and "with 80 % power" in text
    low, high = (detectable(spread, 3, comparisons=6) for spread in (3**0.5, 2.0))
    assert f"independently: clean error {low:.2f} to {high:.2f}, " in text


def test_sweeps_are_rows_and_compare_with_vanilla_of_the_same_recipe(grow: Grow) -> None:
    methods = ("vanilla, epochs=3", "ews, epochs=3", "vanilla, epochs=6", "ews, epochs=6", "ews, epochs=9")
    recipes = {method: {"epochs": int(method[-1])} for method in methods}
    tree = grow(augmentations=("standard",), methods=methods, seeds=(0, 1), recipes=recipes)
    errors = {"vanilla, epochs=3": (20, 20), "ews, epochs=3": (19, 19), "vanilla, epochs=6": (10, 10)}
    tree.errors(**{**errors, "ews, epochs=6": (8, 8), "ews, epochs=9": (7, 7)})
    rows = {key[3]: row for key, row in _lines(tree).items()}
    assert [rows[method]["clean error difference"] for method in methods] == ["", "-1.00", "", "-2.00", ""]
    texts = _texts(tree)
    assert "Trained for 3 or 6 or 9 epochs on 1,293 training images." in texts["caption.txt"]
    assert "| ews, epochs=9 |" in texts["table.md"]


def test_values_that_a_study_sets_once_are_named(grow: Grow) -> None:
    once = {"recipe.epochs": 30}
    differs = {"ews": once, "ews, width=0.5": {"ews.width": 0.5, **once}}
    tree = grow(augmentations=("standard",), methods=tuple(differs), seeds=(0,), differs=differs)
    assert "Values other than the defaults: recipe.epochs=30." in _texts(tree)["caption.txt"]


def test_table_1_has_columns_by_dataset_the_paper_s_numbers_and_footnotes(grow: Grow) -> None:
    plan = {"datasets": ("cifar10", "cifar100"), "architectures": ("resnet50",), "epochs": 2}
    tree = grow(**plan, augmentations=("standard", "autoaugment", "augmix"), logs=False)
    study, results = _results(tree)
    grid = layout.main_grid(study, results, caption="", costs={})
    assert grid.heads == ("augmentation", "method")
    assert [row.heads for row in grid.rows][:4] == [
        ("standard", "vanilla"),
        ("standard", "dropout"),
        ("standard", "ews"),
        ("autoaugment", "vanilla"),
    ]
    names = ["clean error (%)", "paper", "corruption error (%)", "paper"]
    assert grid.columns == tuple(Column(name, group) for group in ("cifar10", "cifar100") for name in names)
    ews = grid.rows[2].cells
    assert [ews[place].text for place in (1, 3, 5, 7)] == ["4.44", "24.94", "22.41", "40.08"]
    assert [cell.note for cell in ews] == ["", "a", "", "", "", "", "", "b"]
    assert [letter for letter, _ in grid.notes] == ["a", "b"]
    assert "4.12" in grid.notes[0][1] and "49.08" in grid.notes[1][1]
    caption = _texts(tree)["caption.txt"]
    assert "The EWS paper differs: on cifar10, cifar100 it trains resnet50 for 400 epochs on 50,000 images." in caption


@pytest.mark.parametrize(
    ("architecture", "epochs", "images", "differs"),
    [
        ("resnet50", 400, 50000, False),
        ("resnet50", 400, 45000, True),
        ("resnet50", 30, 50000, True),
        ("resnet20", 400, 50000, True),
    ],
)
def test_caption_says_where_the_training_differs_from_the_paper(
    grow: Grow, architecture: str, epochs: int, images: int, differs: bool
) -> None:
    plan = {
        "datasets": ("cifar10",),
        "architectures": (architecture,),
        "augmentations": ("standard",),
        "epochs": epochs,
    }
    tree = grow(**plan, methods=("vanilla",), seeds=(0,), logs=False)
    tree.change(0, "record.json", lambda record: record["counts"].update(train_images=images))
    assert ("The EWS paper differs" in _texts(tree)["caption.txt"]) == differs


def test_jpeg_data_never_stand_beside_the_paper_s_numbers(grow: Grow) -> None:
    tree = grow(datasets=("cifar10_jpeg",), architectures=("resnet50",), seeds=(0,), test_images=1000)
    texts = _texts(tree)
    caption = texts["caption.txt"]
    assert "paper |" not in texts["table.md"]
    assert {row["clean error reported"] for row in _lines(tree).values()} == {""}
    assert "JPEG training biases the jpeg, noise and blur columns" in caption
    assert "on 1,000 test images (a stratified subset)" in caption


def test_trainings_of_teachers_that_are_no_rows_are_counted_apart(grow: Grow) -> None:
    tree = grow()
    tree.manifest["teachers"] = {"elsewhere/seed0": tree.entries[0]["cell"]}
    tree.rewrite()
    assert "30.0 min together, and 1 training run of teachers that stand in no row." in _texts(tree)["caption.txt"]


def test_caption_states_metric_seeds_epochs_images_selection_and_hardware(grow: Grow) -> None:
    tree = grow(corruptions=("fog", "gaussian_noise"))
    caption = _texts(tree)["caption.txt"]
    for part in (
        "Error on 2 corruptions: plain mean",
        "over 2 corruptions (gaussian_noise, fog) × 5 severities, each on 1,000 test images",
        "3 seeds (0, 1, 2)",
        "Trained for 12 epochs on 1,293 training images.",
        "Weights of the last epoch; the test images selected nothing.",
        "Trained on Made-up CPU (2 threads), torch 2.14.1; 18 training runs, 30.0 min together.",
    ):
        assert part in caption
    assert "paper" not in caption


def test_many_architectures_become_rows(grow: Grow) -> None:
    few = grow(augmentations=("standard",), architectures=("a", "b", "c"), seeds=(0,), logs=False)
    assert layout.axes(_results(few)[0]) == (["augmentation", "method"], ["architecture"])
    many = grow(augmentations=("standard",), architectures=("a", "b", "c", "d"), seeds=(0,), logs=False)
    assert layout.axes(_results(many)[0]) == (["architecture", "augmentation", "method"], [])
    many.manifest["rows"] = ["method"]
    many.rewrite()
    assert layout.axes(_results(many)[0]) == (["method"], ["architecture"])


def test_missing_combinations_are_marked_and_not_invented(grow: Grow) -> None:
    tree = grow(datasets=("a", "b"), augmentations=("standard",), seeds=(0,), logs=False)
    tree.manifest["entries"] = [
        cell for cell in tree.entries if (cell["label"]["dataset"], cell["label"]["method"]) != ("b", "dropout")
    ]
    tree.rewrite()
    study, results = _results(tree)
    grid = layout.main_grid(study, results, caption="", costs={})
    row = next(row for row in grid.rows if row.heads[-1] == "dropout")
    assert [cell.text for cell in row.cells[2:]] == ["–", "–"]


def test_rounding_has_no_minus_zero() -> None:
    assert [layout.fixed(-0.004), layout.signed(-0.004), layout.signed(0.004)] == ["0.00"] * 3
    assert [layout.signed(-0.006), layout.signed(0.006), layout.fixed(-1)] == ["−0.01", "+0.01", "−1.00"]


def test_records_of_other_cells_are_refused(tree: Tree) -> None:
    study = study_rows.load(tree.study)
    path = tree.out / "records.json"
    path.write_text("[]")
    with pytest.raises(EwsError, match=r"records.json: does not hold the records"):
        table.read_records(path, study)
    with pytest.raises(EwsError, match="no such file"):
        table.read_records(tree.out / "none.json", study)
