"""Differences between rows on other test images: the bootstrap's mathematics, its unit, and every bad input named."""

import csv
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import adversarial_result, attacked_weights

from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK
from ews.pipeline.report import measure, paired_images, reported, study_rows, table
from ews.pipeline.report.inputs import Inputs

IMAGES = 40
CLASSES = 10
Grow = Callable[..., Any]


@pytest.fixture
def tree(grow: Grow) -> Any:
    """Two methods x 3 seeds whose predictions are kept image by image, and agree with the errors."""
    tree = grow(augmentations=("standard",), methods=("vanilla", "ews"), logs=False, images=IMAGES)
    random = np.random.default_rng(0)
    for place in places(tree):
        clean = random.random(IMAGES) < 0.3
        keep(tree, place, clean, np.broadcast_to(clean, (15, 5, IMAGES)) ^ (random.random((15, 5, IMAGES)) < 0.2))
    return tree


def places(tree: Any) -> range:
    return range(len(tree.entries))


def keep(tree: Any, place: int, clean: np.ndarray, corrupted: np.ndarray) -> None:
    """Write predictions that are wrong where told, and the errors that follow."""
    label, folder = np.arange(IMAGES) % CLASSES, tree.folder(place)
    common = {"label": label, "index": np.arange(IMAGES)}
    wrong = (label + 1) % CLASSES
    np.savez(folder / "clean.npz", prediction=np.where(clean, wrong, label).astype(np.uint8), **common)
    tree.write(place, "clean", {"last": {"error": 100 * float(clean.mean()), "correct": 0, "n": IMAGES}, "best": None})
    predicted = np.where(corrupted, wrong, label).astype(np.uint8)
    np.savez(folder / "corruption.npz", prediction=predicted, names=np.array(BENCHMARK), **common)
    rows = [
        {
            **{"corruption": name, "severity": severity + 1, "n": IMAGES},
            "error": 100 * float(corrupted[number, severity].mean()),
        }
        for number, name in enumerate(BENCHMARK)
        for severity in range(5)
    ]
    tree.write(place, "corruption", {"imagenet": False, "rows": rows, "corruptions": {}})


def compared(tree: Any) -> dict[str, paired_images.Difference]:
    return {one.metric: one for one in paired_images.compare(study_rows.load(tree.study), inputs=Inputs(tree.runs))}


def test_the_interval_is_the_bootstrap_distribution_s_own() -> None:
    values = np.array([-2.0, 0.5, 1.0, 3.0, 7.5])
    every = [np.mean(drawn) for drawn in itertools.product(values, repeat=len(values))]
    assert paired_images.interval(values) == pytest.approx(tuple(np.quantile(every, [0.025, 0.975])), abs=0.15)


def test_with_many_images_it_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).choice([-100.0, 0.0, 100.0], size=4000, p=[0.05, 0.9, 0.05])
    low, high = paired_images.interval(values)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.05)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(4000), rel=0.03)


def test_differences_that_are_all_alike_have_no_width() -> None:
    assert paired_images.interval(np.full(7, 2.5)) == (2.5, 2.5)


def test_the_difference_is_that_of_the_measured_errors(tree: Any) -> None:
    study = study_rows.load(tree.study)
    measured, _ = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    found = compared(tree)
    assert list(found) == ["clean error", "corruption error"]
    for metric, one in found.items():
        values = {
            method: [row.value for row in measured if row.metric == metric and row.label.method == method]
            for method in ("ews", "vanilla")
        }
        assert one.mean == pytest.approx(np.mean(values["ews"]) - np.mean(values["vanilla"]))
        assert one.low < one.mean < one.high
        assert (one.images, one.seeds, one.reference.method) == (IMAGES, 3, "vanilla")
    assert (found["clean error"].copies, found["corruption error"].copies) == (1, 75)


def test_copies_that_fail_with_their_image_count_once(tree: Any) -> None:
    random = np.random.default_rng(2)
    for place in places(tree):
        clean = random.random(IMAGES) < 0.3
        keep(tree, place, clean, np.broadcast_to(clean, (15, 5, IMAGES)))
    found = compared(tree)
    clean, corrupted = found["clean error"], found["corruption error"]
    assert (corrupted.mean, corrupted.low, corrupted.high) == pytest.approx((clean.mean, clean.low, clean.high))
    # Copies that fail on their own tell more: 75 times as many draws, a width some 8.7 times smaller.
    for place in places(tree):
        keep(tree, place, random.random(IMAGES) < 0.3, random.random((15, 5, IMAGES)) < 0.3)
    found = compared(tree)
    clean, corrupted = found["clean error"], found["corruption error"]
    assert 5 < (clean.high - clean.low) / (corrupted.high - corrupted.low) < 14


def test_the_file_gives_back_what_was_written(tree: Any, tmp_path: Path) -> None:
    study = study_rows.load(tree.study)
    found = paired_images.compare(study, inputs=Inputs(tree.runs))
    write_text(tmp_path / "images.csv", paired_images.differences_csv(found))
    assert paired_images.read(tmp_path / "images.csv", study) == found
    write_text(tmp_path / "images.csv", paired_images.differences_csv([]))
    with pytest.raises(EwsError, match="does not hold the comparisons of study 'made_up'"):
        paired_images.read(tmp_path / "images.csv", study)


def test_the_table_shows_it(tree: Any) -> None:
    study = study_rows.load(tree.study)
    measured, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    texts = table.tables(
        study,
        measured,
        records=records,
        reported=reported.load(),
        differences=paired_images.compare(study, inputs=Inputs(tree.runs)),
    )
    found, text = compared(tree)["corruption error"], texts["table.md"]
    assert "40 images of 75 copies" in text and "other test images" in text
    shown = f"{found.mean:+.2f} \\[{found.low:+.2f}, {found.high:+.2f}\\]".replace("-", "−")
    assert shown in text
    without = table.tables(study, measured, records=records, reported=reported.load())
    assert "other test images, percentage points" not in without["table.md"]


def test_subnets_are_compared_with_dropout_too(grow: Grow) -> None:
    tree = grow(
        augmentations=("standard",), methods=("vanilla", "dropout", "ews", "damp+ews"), logs=False, images=IMAGES
    )
    random = np.random.default_rng(4)
    rates = {"vanilla": 0.3, "dropout": 0.5, "ews": 0.2, "damp+ews": 0.2}
    wrong = {}
    for place, cell in enumerate(tree.entries):
        wrong[cell["label"]["method"], cell["cell"]["seed"]] = clean = (
            random.random(IMAGES) < rates[cell["label"]["method"]]
        )
        keep(tree, place, clean, np.broadcast_to(clean, (15, 5, IMAGES)))
    study = study_rows.load(tree.study)
    found = paired_images.compare(study, inputs=Inputs(tree.runs))
    pairs = [(one.label.method, one.reference.method) for one in found if one.metric == "clean error"]
    assert pairs == [
        ("dropout", "vanilla"),
        *((method, reference) for method in ("ews", "damp+ews") for reference in ("vanilla", "dropout")),
    ]
    by_seed = [100 * (wrong["ews", seed].mean() - wrong["dropout", seed].mean()) for seed in (0, 1, 2)]
    assert found[4].mean == pytest.approx(np.mean(by_seed)) and found[4].reference.method == "dropout"
    measured, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    text = table.tables(study, measured, records=records, reported=reported.load(), differences=found)["table.md"]
    over_seeds, over_images = text.partition("Paired comparison with vanilla and dropout")[2].split(
        "on other test images"
    )
    for half in (over_seeds, over_images):
        # The row above it names the method, ews, once.
        row = next(
            line for line in half.splitlines() if line.count("|") > 5 and line.split("|")[3].strip() == "dropout"
        )
        assert f"{np.mean(by_seed):+.2f}".replace("-", "−") in row
    assert "| compared with" in over_seeds and "| compared with" in over_images


def test_a_row_with_nothing_to_compare_with_is_left_out(grow: Grow, tmp_path: Path) -> None:
    lonely = grow(augmentations=("standard",), methods=("ews",), logs=False, images=IMAGES)
    assert compared(lonely) == {}
    write_text(tmp_path / "images.csv", paired_images.differences_csv([]))
    assert paired_images.read(tmp_path / "images.csv", study_rows.load(lonely.study)) == []


def test_attacks_are_compared_on_their_own_images(tree: Any) -> None:
    random = np.random.default_rng(3)
    tree.ask("adversarial", SETTINGS)
    for place in places(tree):
        attacked(tree, place, random)
    tree.evaluations("clean", "adversarial")
    found = compared(tree)
    assert list(found) == ["clean error", "pgd-20 error", "autoattack error"]
    assert [one.images for one in found.values()] == [IMAGES, IMAGES, 10]


SETTINGS: dict[str, Any] = {
    "epsilon": 8 / 255,
    "step_size": 2 / 255,
    "steps": 20,
    "restarts": 1,
    **{"n_examples": 10, "batch_size": 250, "version": "standard"},
}


def attacked(tree: Any, place: int, random: np.random.Generator) -> None:
    pgd = random.random(IMAGES) < 0.4
    # Cumulative: what stands after an attack is what no attack before it has fooled.
    first = random.random(10) < 0.6
    both = np.array([first, first & (random.random(10) < 0.8)])
    chosen = np.arange(0, IMAGES, 4)
    np.savez(
        tree.folder(place) / "adversarial.npz",
        pgd_index=np.arange(IMAGES),
        pgd_robust=pgd,
        autoattack_index=chosen,
        autoattack_robust=both,
    )
    errors = [100 * float((~flags).mean()) for flags in (pgd, both[-1], first)]
    last = attacked_weights(clean=20.0, pgd=errors[0], autoattack=errors[1], first=errors[2], n=IMAGES, chosen=10)
    tree.write(place, "adversarial", adversarial_result(last))


def other_images(folder: Path) -> None:
    content = dict(np.load(folder / "clean.npz"))
    np.savez(folder / "clean.npz", **{**content, "index": content["index"] + 1})


def one_image_twice(folder: Path) -> None:
    content = dict(np.load(folder / "clean.npz"))
    np.savez(folder / "clean.npz", **{**content, "index": np.zeros_like(content["index"])})


def no_images(folder: Path) -> None:
    content = dict(np.load(folder / "clean.npz"))
    np.savez(folder / "clean.npz", **{name: array[:0] for name, array in content.items()})


def without_labels(folder: Path) -> None:
    content = dict(np.load(folder / "clean.npz"))
    np.savez(folder / "clean.npz", **{name: array for name, array in content.items() if name != "label"})


def one_more_wrong(folder: Path) -> None:
    content = dict(np.load(folder / "clean.npz"))
    right = np.flatnonzero(content["prediction"] == content["label"])[0]
    content["prediction"][right] = CLASSES
    np.savez(folder / "clean.npz", **content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "clean.npz").unlink(), r"clean\.npz: missing, though clean\.json names it"),
        (lambda folder: (folder / "clean.npz").write_bytes(b"PK\x03\x04"), r"clean\.npz: damaged, or not an \.npz"),
        (without_labels, r"clean\.npz: lacks what a comparison by image needs \('label'\)"),
        (one_more_wrong, r"clean\.npz: clean error: image by image .* was measured"),
        (other_images, "ews and .*vanilla: clean error was not measured on the same images with all seeds of both"),
        (one_image_twice, r"clean\.npz: clean error: not 40 different images, as were measured"),
        (no_images, r"clean\.npz: clean error: not 40 different images, as were measured"),
    ],
)
def test_bad_predictions_are_named(tree: Any, spoil: Callable[[Path], Any], message: str) -> None:
    spoil(tree.runs / "digits/resnet8/standard/ews/seed1")
    if (tree.runs / "digits/resnet8/standard/ews/seed1/clean.npz").is_file():
        with pytest.raises(EwsError, match=r"clean\.npz: damaged, or of another evaluation"):
            compared(tree)
        tree.seal()
    with pytest.raises(EwsError, match=message):
        compared(tree)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("difference", "nan", "row 2: difference: .*finite number, not 'nan'"),
        ("method", "adam", "does not hold the comparisons of study 'made_up'"),
        ("reference", "dropout", "does not hold the comparisons of study 'made_up'"),
        ("metric", "luck", "does not hold the comparisons of study 'made_up'"),
        ("low", "90", "row 2: an interval whose ends are exchanged"),
        ("images", "2.5", "row 2: images: .*valid integer"),
        ("seeds", "0", "row 2: seeds: .*greater than or equal to 1"),
    ],
)
def test_a_file_that_is_not_the_study_s_is_refused(
    tree: Any, tmp_path: Path, column: str, value: str, message: str
) -> None:
    study, path = study_rows.load(tree.study), tmp_path / "images.csv"
    write_text(path, paired_images.differences_csv(paired_images.compare(study, inputs=Inputs(tree.runs))))
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    rows[0][column] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())
    with pytest.raises(EwsError, match=message):
        paired_images.read(path, study)
