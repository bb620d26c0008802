"""From run folders to measurements: right means, and every bad input named."""

import csv
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.runs import reseal

from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK
from ews.pipeline.evaluate.corruption.corruption_spec import (
    SEVERITIES,
    CorruptionError,
    CorruptionFindings,
    CorruptionOptions,
)
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report import measure, measurements, reported, study_rows, table
from ews.pipeline.report.inputs import Inputs

Tree = Any
Grow = Callable[..., Tree]
SMALL: dict[str, Any] = {"augmentations": ("standard",), "methods": ("vanilla", "ews"), "seeds": (0, 1), "logs": False}


def _measure(tree: Tree) -> tuple[study_rows.Manifest, list[measurements.Measurement], list[dict[str, Any]]]:
    study = study_rows.load(tree.study)
    found, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return study, found, records


def _values(found: list[measurements.Measurement], method: str, seed: int) -> dict[str, measurements.Measurement]:
    return {one.metric: one for one in found if one.label.method == method and one.seed == seed}


def rows(error: Callable[[int, int], float], names: tuple[str, ...] = BENCHMARK, n: int = 1000) -> list[dict[str, Any]]:
    """Rows of corruption.json: errors by the corruption's place and the severity."""
    return [
        {"corruption": name, "severity": severity, "error": error(place, severity), "n": n}
        for place, name in enumerate(names)
        for severity in range(1, 6)
    ]


EPOCHS = "epoch,learning_rate,train_loss,train_error,validation_error,weights_sha256\n"


def test_every_metric_of_a_cell(grow: Grow) -> None:
    tree = grow(**SMALL)
    clean = {"last": {"error": 7.5, "correct": 925, "n": 1000}, "best": {"error": 7.0, "correct": 930, "n": 1000}}
    tree.write(3, "clean", clean)
    tree.write(
        3,
        "corruption",
        {"imagenet": False, "rows": rows(lambda place, severity: place + 2.0 * severity), "corruptions": {}},
    )
    (tree.folder(3) / "epochs.csv").write_text(f"{EPOCHS}1,0.1,1.0,0.5,0.25,a\n2,0.1,0.5,0.125,0.0625,b\n")
    tree.seal()
    own = _values(_measure(tree)[1], "ews", 1)
    assert (own["clean error"].value, own["clean error"].n) == (7.5, 1000)
    assert (own["clean error (best)"].value, own["clean error (best)"].n) == (7.0, 1000)
    assert own["error: fog"].value == 9 + 6  # place 9, mean severity 3
    assert own["corruption error"].value == pytest.approx(7 + 6)
    assert own["corruption error"].n == 1000
    assert (own["validation error"].value, own["validation error"].n) == (6.25, 144)
    assert (own["train error"].value, own["train error"].n) == (12.5, 1293)


def test_the_benchmark_is_the_one_that_corruptions_are_made_from() -> None:
    corruptions = pytest.importorskip("ews.corruptions")
    assert BENCHMARK == tuple(corruptions.BENCHMARK)
    assert SEVERITIES == tuple(corruptions.SEVERITIES)


@pytest.mark.parametrize(
    ("corruptions", "metric"),
    [
        (("fog", "snow"), "error on 2 corruptions"),
        (("fog",), "error on 1 corruption"),
        (BENCHMARK[:14], "error on 14 corruptions"),
        (BENCHMARK, "corruption error"),
    ],
)
def test_corruption_error_means_fifteen(grow: Grow, corruptions: tuple[str, ...], metric: str) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla",), seeds=(0,), corruptions=corruptions)
    own = _values(_measure(tree)[1], "vanilla", 0)
    assert metric in own
    assert ("corruption error" in own) == (metric == "corruption error")
    singles = [own[f"error: {name}"].value for name in corruptions]
    assert own[metric].value == pytest.approx(sum(singles) / len(singles))


def test_corruptions_beyond_the_fifteen_have_a_mean_of_their_own(grow: Grow) -> None:
    """ "corruption error" stays the mean of the 15; that of all stands beside it, under a name that says how many."""
    everything = ("spatter", *BENCHMARK, "saturate", "speckle_noise", "gaussian_blur")
    tree = grow(augmentations=("standard",), methods=("vanilla", "ews"), seeds=(0,), corruptions=everything)
    study, found, records = _measure(tree)
    own = _values(found, "vanilla", 0)
    singles = {name: own[f"error: {name}"].value for name in everything}
    assert own["corruption error"].value == pytest.approx(sum(singles[name] for name in BENCHMARK) / 15)
    assert own["error on 19 corruptions"].value == pytest.approx(sum(singles.values()) / 19)
    texts = table.tables(study, found, records=records, reported=reported.load())
    head = next(line for line in texts["table.md"].splitlines() if "corruption error" in line and "|" in line)
    assert head.index("corruption error (%)") < head.index("error on 19 corruptions (%)")
    caption = texts["caption.txt"]
    assert (
        "Corruption error: plain mean, not normalised by another network's errors, over 15 corruptions × 5" in caption
    )
    extra = "the benchmark's 15, spatter, saturate, speckle_noise, gaussian_blur"
    assert f"over 19 corruptions ({extra}) × 5 severities" in caption


def test_images_are_compared_on_each_mean() -> None:
    """Shares of wrong predictions by image: over the 15, and over all of the 16."""
    names = ("spatter", *BENCHMARK)
    options = CorruptionOptions(names=names, seed=0, profile="cifar")
    label, index = np.array([0, 1]), np.array([4, 7])
    prediction = np.zeros((16, 5, 2), np.int64)  # of image 7 all wrong
    prediction[0] = 1  # but for spatter, where the first image is wrong and the second one right
    arrays = {"names": np.array(names), "prediction": prediction, "label": label, "index": index}
    wrong = EVALUATIONS["corruption"].scoring().wrong
    assert wrong is not None
    found = wrong(arrays, options)
    assert list(found) == list(EVALUATIONS["corruption"].scoring().compared(options))
    assert found["corruption error"].share.tolist() == [0.0, 100.0]
    assert found["error on 16 corruptions"].share.tolist() == pytest.approx([100 / 16, 1500 / 16])


def test_normalised_errors_are_of_the_fifteen() -> None:
    """On ImageNet's constants the mCE takes the place of the plain mean of the 15, not of that of all."""
    scoring = EVALUATIONS["corruption"].scoring()
    options = CorruptionOptions(names=(*BENCHMARK, "saturate"), seed=0, profile="imagenet")
    plain = scoring.headline(options)
    assert [scoring.divided.get(name, name) for name in plain] == ["mCE", "error on 16 corruptions"]
    findings = CorruptionFindings(
        imagenet=True,
        rows=tuple(
            CorruptionError(corruption=name, severity=severity, error=40.0 if name == "saturate" else 20.0, n=10)
            for name in options.names
            for severity in SEVERITIES
        ),
        corruptions={},
    )
    scores = scoring.scores(findings, options)
    assert scores["corruption error"].error == pytest.approx(20)
    assert scores["error on 16 corruptions"].error == pytest.approx((15 * 20 + 40) / 16)
    plain = CorruptionOptions(names=BENCHMARK, seed=0, profile="imagenet")
    assert scores["mCE"] == scoring.scores(findings, plain)["mCE"]


def test_reported_stands_only_beside_the_paper_s_setting(grow: Grow) -> None:
    tree = grow(
        datasets=("cifar10", "cifar10_jpeg"),
        architectures=("resnet50", "resnet20"),
        augmentations=("standard",),
        methods=("vanilla", "ews", "ews, width=0.5"),
        seeds=(0,),
        differs={"ews, width=0.5": {"ews.width": 0.5}},
    )
    with_number = {
        (one.label.dataset, one.label.architecture, one.label.method, one.metric): one.reported
        for one in _measure(tree)[1]
        if one.reported is not None
    }
    assert with_number == {
        ("cifar10", "resnet50", "vanilla", "clean error"): 5.32,
        ("cifar10", "resnet50", "vanilla", "corruption error"): 26.46,
        ("cifar10", "resnet50", "ews", "clean error"): 4.44,
        ("cifar10", "resnet50", "ews", "corruption error"): 24.94,
    }


def test_non_default_evaluation_is_read_from_its_folder(grow: Grow) -> None:
    tree = grow(**SMALL)
    tree.entries[0]["evaluation"] = "evaluation--test_images-10"
    tree.rewrite()
    tree.results(0).mkdir()
    for name in ("clean.json", "corruption.json"):
        (tree.folder(0) / name).rename(tree.results(0) / name)
    tree.write(0, "clean", {"last": {"error": 1.25, "correct": 0, "n": 10}, "best": None})
    assert _values(_measure(tree)[1], "vanilla", 0)["clean error"].value == 1.25


def test_files_survive_a_round_trip_in_full_precision(tree: Tree) -> None:
    study, found, records = _measure(tree)
    out, kept, means = tree.out / "measurements.csv", tree.out / "records.json", tree.out / "metrics.json"
    measure.save(study, found, records, out=out, records=kept, metrics=means)
    assert measurements.read(out, study) == found
    with out.open() as file:
        assert next(csv.reader(file)) == [
            "study", "dataset", "architecture", "augmentation", "method", "seed", "metric", "value", "n", "reported",
        ]  # fmt: skip
    assert [record["run"] for record in json.loads(kept.read_text())] == [e.run for e in study.entries]
    assert table.read_records(kept, study) == tuple(records)
    row = json.loads(means.read_text())["digits/resnet8/augmix/ews"]
    errors = [
        one.value for one in found if str(one.label) == "digits/resnet8/augmix/ews" and one.metric == "clean error"
    ]
    assert row["clean error"] == pytest.approx(sum(errors) / 3)
    assert not any(name.startswith("error: ") for name in row)


def test_no_validation_split_gives_no_validation_error(grow: Grow) -> None:
    tree = grow(**SMALL)
    head = "epoch,learning_rate,train_loss,train_error,weights_sha256"
    (tree.folder(0) / "epochs.csv").write_text(f"{head}\n1,0.1,1.0,0.5,a\n")
    tree.seal()
    own = _values(_measure(tree)[1], "vanilla", 0)
    assert "validation error" not in own
    assert own["train error"].value == 50


def _spoiled(**last: Any) -> Callable[[Tree], object]:
    return lambda tree: tree.write(2, "clean", {"last": {"error": 1.0, "correct": 0, "n": 10} | last, "best": None})


def _epochs(text: str) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        (tree.folder(2) / "epochs.csv").write_text(text)
        tree.seal()

    return change


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("clean.json", lambda tree: (tree.folder(2) / "clean.json").unlink(), "no such file. To measure again, delete"),
        ("clean.json", lambda tree: (tree.folder(2) / "clean.json").write_text("{"), "not valid JSON"),
        ("clean.json", lambda tree: (tree.folder(2) / "clean.json").write_text("[]"), "has no 'checksum'"),
        ("clean.json", _spoiled(error=101.0), r"result.last.error: .*less than or equal to 100"),
        ("clean.json", _spoiled(error="1"), r"result.last.error: .*valid number"),
        ("clean.json", _spoiled(n=0), r"result.last.n: .*greater than or equal to 1"),
        ("clean.json", lambda tree: tree.write(2, "clean", {"best": None}), "result.last: Field required"),
        (
            "corruption.json",
            lambda tree: (tree.folder(2) / "corruption.json").unlink(),
            "no such file. To measure again, delete",
        ),
        ("epochs.csv", lambda tree: (tree.folder(2) / "epochs.csv").unlink(), "missing, though record.json names it"),
        ("epochs.csv", _epochs(EPOCHS), "holds no epoch. To train this run again, delete"),
        ("epochs.csv", _epochs(f"{EPOCHS}1,0.1,1,inf,0.1,a\n"), r"row 2: train_error: .*finite number, not 'inf'"),
        ("epochs.csv", _epochs(f"{EPOCHS}1,0.1,1,12.5,0.1,a\n"), "row 2: train_error: .*less than or equal to 1"),
        ("epochs.csv", _epochs(f"{EPOCHS}1,0.1,1\n"), "number of fields"),
        ("record.json", lambda tree: (tree.folder(2) / "record.json").unlink(), "no finished run here"),
    ],
)
def test_bad_inputs_are_named_with_what_to_do(
    grow: Grow, file: str, change: Callable[[Tree], object], message: str
) -> None:
    tree = grow(**SMALL)
    change(tree)
    with pytest.raises(EwsError, match=message) as caught:
        _measure(tree)
    assert str(tree.folder(2)) in str(caught.value) and file in str(caught.value)


def test_a_run_of_other_parameters_is_refused(grow: Grow) -> None:
    tree = grow(**SMALL)
    tree.entries[2]["cell"]["recipe"]["epochs"] += 1
    tree.rewrite()
    with pytest.raises(EwsError, match="trained with other parameters than the study asks for"):
        _measure(tree)


def test_an_evaluation_of_an_earlier_training_is_refused(grow: Grow) -> None:
    tree = grow(**SMALL)
    # What a run cost is no part of what was measured.
    reseal(tree.folder(2) / "record.json", lambda record: record.update(wall_clock_seconds=3.0))
    _measure(tree)
    reseal(tree.folder(2) / "record.json", lambda record: record.update(data="1" * 64))
    with pytest.raises(EwsError, match=r"clean\.json: is of an earlier training than .*record\.json describes"):
        _measure(tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("entries"), "entries: Field required"),
        (lambda raw: raw["entries"].clear(), "entries: .*at least 1 item"),
        (lambda raw: raw["entries"][0]["label"].pop("method"), r"entries\.0\.label\.method: Field required"),
        (lambda raw: raw["evaluations"].append("pgd"), "unknown evaluation 'pgd'"),
        (lambda raw: raw["entries"][1]["cell"].update(seed=0), "same row and seed"),
        (lambda raw: raw.update(rows=["colour"]), "unknown axis 'colour'"),
    ],
)
def test_malformed_manifests_are_refused(grow: Grow, change: Callable[[dict[str, Any]], object], message: str) -> None:
    tree = grow(**SMALL)
    change(tree.manifest)
    tree.rewrite()
    with pytest.raises(EwsError, match=message) as caught:
        study_rows.load(tree.study)
    assert str(tree.study) in str(caught.value)


def test_measurements_of_another_study_are_refused(grow: Grow) -> None:
    tree = grow(**SMALL)
    study, found, _ = _measure(tree)
    path = tree.out / "measurements.csv"
    write_text(path, measurements.measurements_csv(found[:5]))
    with pytest.raises(EwsError, match="does not hold the rows and seeds"):
        measurements.read(path, study)
    path.write_text(path.read_text().replace("reported\n", "published\n"))
    with pytest.raises(EwsError, match=r"measurements\.csv: unknown columns published"):
        measurements.read(path, study)


@pytest.mark.parametrize("kind", ["clean", "corruption"])
def test_an_evaluation_on_other_test_images_is_refused(grow: Grow, kind: str) -> None:
    tree = grow(**SMALL, test_images=500)
    reseal(tree.folder(0) / f"{kind}.json", lambda content: content["options"].update(test_images=None))
    message = f"{kind}.json: was measured with other settings than the study asks for: test_images None, not 500"
    with pytest.raises(EwsError, match=message):
        _measure(tree)
