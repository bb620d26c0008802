"""Flips and normalised errors: from the runs' files to the numbers, their table, and what the caption says of them."""

import csv
import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from helpers.runs import reseal

from ews import perturbations
from ews.core.errors import EwsError
from ews.pipeline.evaluate.alexnet import ERRORS, FLIP_PROBABILITIES
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK
from ews.pipeline.evaluate.perturbation.perturbation_spec import NAMES as PERTURBATIONS
from ews.pipeline.report import plot_corruption, reported, study_rows, table_data, training_logs
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measure import measure
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.table import tables

Numbers = dict[tuple[str, int, str], Measurement]


def test_names_are_those_of_the_sequences() -> None:
    assert PERTURBATIONS == perturbations.NAMES


@pytest.fixture
def study(grow: Callable[..., "Tree"]) -> Callable[..., "Tree"]:  # noqa: F821
    """Return a function that makes a study with flips; those of a run are ``level(rank, seed)`` times a ramp."""

    def make(
        *,
        dataset: str = "digits",
        names: tuple[str, ...] = PERTURBATIONS,
        imagenet: bool = False,
        classes: bool = True,
        architecture="resnet8",
    ):
        profile = "imagenet" if imagenet else "cifar"
        tree = grow(datasets=(dataset,), architectures=(architecture,), augmentations=("standard",), profile=profile)
        tree.ask("perturbation", {"names": list(names), "seed": 0, "profile": profile})
        for place, entry in enumerate(tree.entries):
            level = 1 + entry["cell"]["seed"] + 10 * (entry["label"]["method"] == "vanilla")
            flips(tree, place, names, level=level)
            if not classes:
                for name in ("corruption.json", "perturbation.json"):
                    tree.change(place, name, lambda content: content["result"].update(imagenet=False))
        return tree

    return make


def flips(tree: "Tree", place: int, names: tuple[str, ...], *, level: float) -> None:  # noqa: F821
    rows = [
        {"perturbation": name, "frames": 31, "compared": "previous", "flip_probability": level + number, "n": 1000}
        for number, name in enumerate(names)
    ]
    imagenet = tree.entries[place]["corrupted"]["profile"] == "imagenet"
    tree.write(place, "perturbation", {"imagenet": imagenet, "rows": rows})


def measured(tree) -> Numbers:
    found, _ = measure(study_rows.load(tree.study), inputs=Inputs(tree.runs), reported=reported.load())
    return {(one.label.method, one.seed, one.metric): one for one in found}


def written(tree) -> dict[str, str]:
    study, numbers = study_rows.load(tree.study), reported.load()
    found, records = measure(study, inputs=Inputs(tree.runs), reported=numbers)
    return tables(study, found, records=records, reported=numbers)


def test_without_imagenet_the_means_are_plain(study) -> None:
    numbers = measured(study())
    assert numbers["vanilla", 0, "mFP"].value == pytest.approx(11 + 4.5)
    assert numbers["ews", 2, "mFP"].value == pytest.approx(3 + 4.5)
    assert numbers["ews", 2, "mFP"].n == 1000
    assert numbers["ews", 2, "flip probability: scale"].value == pytest.approx(3 + 9)
    assert not {"mFR", "mCE", "flip rate: scale"} & {metric for _, _, metric in numbers}


def test_with_imagenet_they_are_divided_by_alexnets(study) -> None:
    tree = study(dataset="imagenet", imagenet=True)
    numbers = measured(tree)
    rates = [100 * (11 + place) / FLIP_PROBABILITIES[name] for place, name in enumerate(PERTURBATIONS)]
    assert numbers["vanilla", 0, "mFR"].value == pytest.approx(np.mean(rates))
    assert numbers["vanilla", 0, "flip rate: tilt"].value == pytest.approx(rates[8])
    assert numbers["vanilla", 0, "mFP"].value == pytest.approx(11 + 4.5)
    place = next(place for place, entry in enumerate(tree.entries) if entry["label"]["method"] == "vanilla")
    rows = json.loads((tree.folder(place) / "corruption.json").read_text())["result"]["rows"]
    ratios = [sum(row["error"] for row in rows if row["corruption"] == name) / (5 * ERRORS[name]) for name in BENCHMARK]
    assert numbers["vanilla", 0, "mCE"].value == pytest.approx(100 * np.mean(ratios))
    assert "corruption error" in {metric for _, _, metric in numbers}


def test_the_main_table_has_mean_flips_and_its_caption_says_what_they_are(study) -> None:
    texts = written(study())
    caption = texts["caption.txt"]
    assert "mFP: how often the prediction differs from that on the previous frame (noise: on the first)" in caption
    assert "plain mean, not normalised" in caption and "over 10 perturbations, on the sequences of 1,000" in caption
    assert "mFR (%)" not in texts["table.md"] and "mFP (%)" in texts["table.md"]
    assert "Flip probability in percent per perturbation" in texts["table.md"]
    rows = list(csv.DictReader(texts["table.csv"].splitlines()))
    assert rows[0]["mFP"] == "16.50" and rows[0]["mFP std"] == "1.00"
    assert rows[0]["flip probability: scale"] == "21.00"
    assert rows[-1]["mFP best"] == "no" and rows[0]["mFP best"] == "no"  # the other two print alike


def test_the_table_of_imagenet_has_the_papers_metrics_and_says_by_what_they_are_divided(study) -> None:
    texts = written(study(dataset="imagenet", imagenet=True))
    caption = texts["caption.txt"]
    assert "mCE: per corruption the mean error over 5 severities divided by AlexNet's published one" in caption
    assert "as in Table 2 of the paper" in caption
    assert "mFR: flip probability" in caption and "as in Table 3 of the paper" in caption
    assert "mCE (%)" in texts["table.md"] and "mFR (%)" in texts["table.md"]
    assert "corruption error (%)" not in texts["table.md"]
    assert "Flip rate, in percent of AlexNet's flip probability, per perturbation" in texts["table.md"]
    header = texts["table.csv"].splitlines()[0].split(",")
    assert {"mCE", "mFR", "corruption error", "mFP", "flip rate: snow"} <= set(header)


def test_with_imagenets_constants_and_other_classes_nothing_is_divided_by_alexnets(study) -> None:
    """Own classes at 224 pixels: the plain means, in numbers, table, caption and figures."""
    tree = study(dataset="mine", imagenet=True, classes=False)
    numbers = measured(tree)
    assert numbers["vanilla", 0, "mFP"].value == pytest.approx(11 + 4.5)
    assert not {"mFR", "mCE", "flip rate: scale"} & {metric for _, _, metric in numbers}
    texts = written(tree)
    assert "corruption error (%)" in texts["table.md"] and "mFP (%)" in texts["table.md"]
    assert "Corruption error: plain mean, not normalised by another network's errors" in texts["caption.txt"]
    for text in texts.values():
        assert not re.search("mCE|AlexNet|flip rate|Table 2 of the paper", text)
    plan, nothing = study_rows.load(tree.study), reported.Reported(numbers={}, settings={})
    found, _ = measure(plan, inputs=Inputs(tree.runs), reported=reported.load())
    assert table_data.build(plan, found, nothing).headline == ["clean error", "corruption error", "mFP"]


def test_one_row_without_alexnets_numbers_leaves_all_with_the_plain_means(study) -> None:
    tree = study(dataset="imagenet", imagenet=True)
    tree.change(0, "corruption.json", lambda content: content["result"].update(imagenet=False))
    assert "corruption error (%)" in written(tree)["table.md"]


def test_the_papers_numbers_stand_beside_with_their_footnotes(study) -> None:
    tree = study(dataset="imagenet", imagenet=True, architecture="resnet50")
    numbers = measured(tree)
    assert numbers["vanilla", 0, "mFR"].reported == 58.0
    assert numbers["vanilla", 0, "mCE"].reported == 76.5
    assert numbers["vanilla", 0, "flip rate: zoom_blur"].reported == 72
    # Which column is which is not known in these rows.
    assert numbers["ews", 0, "mFR"].reported == 56.1
    assert numbers["ews", 0, "flip rate: zoom_blur"].reported is None
    text = written(tree)["table.md"]
    assert "look permuted" in text and "Table 3" in text


@pytest.mark.parametrize("imagenet", [True, False])
def test_the_figure_of_errors_shows_errors_alone(study, imagenet: bool) -> None:
    tree = study(dataset="imagenet" if imagenet else "digits", imagenet=imagenet)
    plan, numbers = study_rows.load(tree.study), reported.load()
    found, _ = measure(plan, inputs=Inputs(tree.runs), reported=numbers)
    figure = plot_corruption.corruption(
        training_logs.Study(plan, table_data.build(plan, found, numbers), Inputs(tree.runs))
    )
    names = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert names[:2] == ["clean", "mean"] and len(names) == 2 + 15
    (line,) = [line for line in figure.axes[0].lines if len(line.get_ydata()) == 17][:1]
    vanilla = [one.value for one in found if one.label.method == "vanilla" and one.metric == "corruption error"]
    assert line.get_ydata()[1] == pytest.approx(np.mean(vanilla))


def test_fewer_perturbations_are_not_called_mfp(study) -> None:
    tree = study(names=("snow", "tilt"), dataset="imagenet", imagenet=True)
    numbers = measured(tree)
    assert numbers["vanilla", 0, "flip probability on 2 perturbations"].value == pytest.approx(11.5)
    assert not {"mFP", "mFR"} & {metric for _, _, metric in numbers}
    caption = written(tree)["caption.txt"]
    assert "Flip probability on 2 perturbations: how often" in caption and "over snow, tilt" in caption


def test_single_perturbations_are_no_summary(study) -> None:
    from ews.pipeline.report.measure import means

    study_ = study_rows.load(study().study)
    tree = study()
    found, _ = measure(study_, inputs=Inputs(tree.runs), reported=reported.load())
    (row, *_) = means(study_, found).values()
    assert "mFP" in row and not [metric for metric in row if metric.startswith(("flip", "error:"))]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"flip_probability": 101.0}, r"result\.rows\.0\.flip_probability: .*less than or equal to 100"),
        ({"flip_probability": "1"}, r"flip_probability: .*valid number"),
        ({"n": 0}, r"result\.rows\.0\.n: .*greater than or equal to 1"),
        ({"flips": 3}, r"flips: Extra inputs"),
    ],
)
def test_an_impossible_number_is_refused(study, values: dict, said: str) -> None:
    tree = study()
    tree.change(0, "perturbation.json", lambda content: content["result"]["rows"][0].update(values))
    with pytest.raises(EwsError, match=said) as error:
        measured(tree)
    assert "perturbation.json" in str(error.value)


def test_missing_files_and_those_of_an_earlier_training_are_refused(study) -> None:
    tree = study()
    about = tree.folder(0) / "perturbation.json"
    reseal(about, lambda content: content.update(run="0" * 64))
    with pytest.raises(EwsError, match=r"perturbation\.json: is of an earlier training"):
        measured(tree)
    about.unlink()
    with pytest.raises(EwsError, match=r"perturbation\.json: no such file"):
        measured(tree)


def test_the_papers_mean_flip_rates_are_the_means_of_their_columns_but_where_the_footnote_says() -> None:
    """Columns have no decimals: a mean of ten may be off by half a unit."""
    numbers = reported.load().numbers
    rows = {key[0] for key in numbers if key[1] == "mFR"}
    assert len(rows) == 9
    for row in rows:
        mean = numbers[row, "mFR", ""]
        for variant in ("", "columns as printed, which look permuted"):
            columns = [
                number.value
                for (setting, metric, kind), number in numbers.items()
                if (setting, kind) == (row, variant) and metric.startswith("flip rate: ")
            ]
            assert len(columns) in (0, 10)
            if columns and abs(np.mean(columns) - mean.value) > 0.5:
                assert row == ("imagenet", "resnet50", "standard", "ews", ()) and "55.4" in mean.footnote
            if columns and variant:
                assert "permuted" in mean.footnote
