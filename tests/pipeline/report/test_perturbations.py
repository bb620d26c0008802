"""Flips and normalised errors: from the runs' files to the numbers, their table, and what the caption says of them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ews import perturbations
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.pipeline.evaluate.alexnet import ERRORS, FLIP_PROBABILITIES
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report import manifest, plot_corruption, reported, runs, table_data
from ews.pipeline.report.measure import measure
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK
from ews.pipeline.evaluate.perturbation.perturbation_scores import PERTURBATIONS
from ews.pipeline.report.table import tables

Numbers = dict[tuple[str, int, str], Measurement]


def test_names_are_those_of_the_sequences() -> None:
    assert PERTURBATIONS == perturbations.NAMES


@pytest.fixture
def study(grow: Callable[..., "Tree"]) -> Callable[..., "Tree"]:  # noqa: F821
    """Return a function that makes a study with flips; those of a run are ``level(rank, seed)`` times a ramp."""

    def make(*, dataset: str = "digits", names: tuple[str, ...] = PERTURBATIONS, imagenet: bool = False):
        tree = grow(datasets=(dataset,), augmentations=("standard",))
        tree.manifest["evaluations"].append("perturbation")
        tree.manifest["perturbations"] = list(names)
        if imagenet:
            tree.manifest["imagenet"] = [dataset]
        tree.rewrite()
        for cell in tree.entries:
            flips(tree.runs / cell["run"], names, level=1 + cell["seed"] + 10 * (cell["label"]["method"] == "vanilla"))
        return tree

    return make


def flips(folder: Path, names: tuple[str, ...], *, level: float) -> None:
    with (folder / "perturbation.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["perturbation", "frames", "compared", "flip_probability", "n"])
        writer.writerows([name, 31, "previous", level + place, 1000] for place, name in enumerate(names))
    (folder / "perturbation.json").write_text(json.dumps({"record": sha256(folder / "record.json")}))


def measured(tree) -> Numbers:
    found, _ = measure(manifest.load(tree.study), inputs=Inputs(tree.runs), reported=reported.load())
    return {(one.label.method, one.seed, one.metric): one for one in found}


def written(tree) -> dict[str, str]:
    study, numbers = manifest.load(tree.study), reported.load()
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
    folder = next(tree.runs / cell["run"] for cell in tree.entries if cell["label"]["method"] == "vanilla")
    with (folder / "corruption.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratios = [
        sum(float(row["error"]) for row in rows if row["corruption"] == name) / (5 * ERRORS[name]) for name in BENCHMARK
    ]
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


def test_the_papers_numbers_stand_beside_with_their_footnotes(study) -> None:
    tree = study(dataset="imagenet", imagenet=True)
    for cell in tree.entries:
        folder = tree.runs / cell["run"]
        cell["run"] = cell["run"].replace("/resnet8/", "/resnet50/")
        cell["label"]["architecture"] = cell["cell"]["architecture"]["name"] = "resnet50"
        other = tree.runs / cell["run"]
        other.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(other)
        record = json.loads((other / "record.json").read_text()) | {"cell": cell["cell"]}
        (other / "record.json").write_text(json.dumps(record))
        (other / "corruption.json").write_text(json.dumps({"record": sha256(other / "record.json")}))
        flips(other, PERTURBATIONS, level=5)
        clean = json.loads((other / "clean.json").read_text())
        clean.pop("record", None)
        (other / "clean.json").write_text(json.dumps(clean))
    tree.rewrite()
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
    plan, numbers = manifest.load(tree.study), reported.load()
    found, _ = measure(plan, inputs=Inputs(tree.runs), reported=numbers)
    figure = plot_corruption.corruption(runs.Study(plan, table_data.build(plan, found, numbers), Inputs(tree.runs)))
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

    study_ = manifest.load(study().study)
    tree = study()
    found, _ = measure(study_, inputs=Inputs(tree.runs), reported=reported.load())
    (row, *_) = means(study_, found).values()
    assert "mFP" in row and not [metric for metric in row if metric.startswith(("flip", "error:"))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("tilt,", "shear,"), "'shear' is not in the study"),
        (lambda text: text.replace("tilt,", "snow,"), "snow stands twice"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "lacks scale"),
        (lambda text: text.replace("31,previous,11,", "31,previous,101,"), "flip_probability is 101"),
        (lambda text: text.replace("31,previous,11,", "31,previous,nan,"), "flip_probability is 'nan'"),
        (lambda text: text.replace("flip_probability", "flips"), "has no 'flip_probability'"),
        (lambda text: text.replace(",1000", ",0"), "n is 0"),
        (lambda text: "", "lacks gaussian_noise"),
    ],
)
def test_a_damaged_file_is_refused(study, change: Callable[[str], str], said: str) -> None:
    tree = study()
    path = tree.folder(0) / "perturbation.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(EwsError, match=said) as error:
        measured(tree)
    assert "perturbation.csv" in str(error.value)


def test_missing_files_and_those_of_an_earlier_training_are_refused(study) -> None:
    tree = study()
    about = tree.folder(0) / "perturbation.json"
    about.write_text(json.dumps({"record": "0" * 64}))
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
