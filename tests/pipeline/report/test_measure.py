"""From run folders to measurements: right means, and every bad input named."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.report import manifest, measure, measurements, metrics, reported
from ews.pipeline.report.metrics import BENCHMARK

Tree = Any
Grow = Callable[..., Tree]
SMALL: dict[str, Any] = {"augmentations": ("standard",), "methods": ("vanilla", "ews"), "seeds": (0, 1), "logs": False}


def _measure(tree: Tree) -> tuple[manifest.Manifest, list[measurements.Measurement], list[dict[str, Any]]]:
    study = manifest.load(tree.study)
    found, records = measure.measure(study, runs=tree.runs, reported=reported.load())
    return study, found, records


def _values(found: list[measurements.Measurement], method: str, seed: int) -> dict[str, measurements.Measurement]:
    return {one.metric: one for one in found if one.label.method == method and one.seed == seed}


def test_every_metric_of_a_cell(grow: Grow) -> None:
    tree = grow(**SMALL)
    folder = tree.runs / "digits/resnet8/standard/ews/seed1"
    (folder / "clean.json").write_text('{"error": 7.5, "n": 1000, "best": {"error": 7.0}}')
    with (folder / "corruption.csv").open("w") as file:
        file.write("corruption,severity,error,n\n")
        for place, name in enumerate(BENCHMARK):
            file.writelines(f"{name},{severity},{place + 2 * severity},1000\n" for severity in range(1, 6))
    (folder / "epochs.csv").write_text(
        "epoch,learning_rate,train_loss,train_error,validation_error\n1,0.1,1.0,0.5,0.25\n2,0.1,0.5,0.125,0.0625\n"
    )
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
    assert metrics.BENCHMARK == tuple(corruptions.BENCHMARK)
    assert metrics.SEVERITIES == tuple(corruptions.SEVERITIES)


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


def test_corruptions_beyond_the_fifteen_stay_out_of_the_mean(grow: Grow) -> None:
    tree = grow(augmentations=("standard",), methods=("vanilla",), seeds=(0,), corruptions=("spatter", *BENCHMARK))
    own = _values(_measure(tree)[1], "vanilla", 0)
    singles = [own[f"error: {name}"].value for name in BENCHMARK]
    assert own["corruption error"].value == pytest.approx(sum(singles) / 15)
    assert "error: spatter" in own


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
    cell = tree.manifest["cells"][0]
    cell["evaluation"] = "evaluation--test_images-10"
    tree.rewrite()
    folder = tree.folder(0) / cell["evaluation"]
    folder.mkdir()
    for name in ("clean.json", "corruption.csv", "corruption.json"):
        (tree.folder(0) / name).rename(folder / name)
    (folder / "clean.json").write_text('{"error": 1.25, "n": 10}')
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
    assert json.loads(kept.read_text()) == json.loads(json.dumps(records))
    row = json.loads(means.read_text())["digits/resnet8/augmix/ews"]
    errors = [
        one.value for one in found if str(one.label) == "digits/resnet8/augmix/ews" and one.metric == "clean error"
    ]
    assert row["clean error"] == pytest.approx(sum(errors) / 3)
    assert not any(name.startswith("error: ") for name in row)


def test_no_validation_split_gives_no_validation_error(grow: Grow) -> None:
    tree = grow(**SMALL)
    (tree.folder(0) / "epochs.csv").write_text("epoch,learning_rate,train_loss,train_error\n1,0.1,1.0,0.5\n")
    own = _values(_measure(tree)[1], "vanilla", 0)
    assert "validation error" not in own
    assert own["train error"].value == 50


def _replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("clean.json", lambda folder: (folder / "clean.json").unlink(), "no such file. Evaluate"),
        ("clean.json", _write("clean.json", '{"error": NaN, "n": 10}'), "NaN is no number of JSON"),
        ("clean.json", _write("clean.json", '{"error": 101, "n": 10}'), "between 0 and 100"),
        ("clean.json", _write("clean.json", '{"error": 1}'), "has no 'n'"),
        ("clean.json", _write("clean.json", '{"error": 1, "n": 0}'), "not a number of images"),
        ("clean.json", _write("clean.json", "[]"), "not a JSON object"),
        ("clean.json", _replace("clean.json", "{", '{"record": "0", '), "of an earlier training than record.json"),
        ("clean.json", _write("clean.json", "{"), "not valid JSON"),
        ("corruption.json", lambda folder: (folder / "corruption.json").unlink(), "no such file. Evaluate"),
        ("corruption.json", _write("corruption.json", '{"record": "0"}'), "of an earlier training than record.json"),
        ("corruption.json", _write("corruption.json", "{}"), "of an earlier training than record.json"),
        ("corruption.csv", lambda folder: (folder / "corruption.csv").unlink(), "no such file. Evaluate"),
        ("corruption.csv", _replace("corruption.csv", "fog,1,", "fog,2,"), "fog at severity 2 stands twice"),
        ("corruption.csv", _replace("corruption.csv", "fog,1,", "hail,1,"), "'hail' at severity 1 is not in the study"),
        ("corruption.csv", _write("corruption.csv", "corruption,severity,error,n\n"), "lacks gaussian_noise 1, "),
        ("corruption.csv", _write("corruption.csv", "corruption,severity,error,n\nfog,1\n"), "number of fields"),
        ("epochs.csv", _write("epochs.csv", "epoch,train_error\n"), "holds no epoch"),
        ("epochs.csv", _write("epochs.csv", "epoch,train_error\n1,inf\n"), "not a finite number. Train"),
        ("epochs.csv", _write("epochs.csv", "epoch,train_error\n1,12.5\n"), "as a share lies between 0 and 1"),
        ("record.json", lambda folder: (folder / "record.json").unlink(), "no such file. Train"),
        ("record.json", _write("record.json", '{"cell": {"seed": 5}}'), "other parameters than the study"),
    ],
)
def test_bad_inputs_are_named_with_what_to_do(
    grow: Grow, file: str, change: Callable[[Path], object], message: str
) -> None:
    tree = grow(**SMALL)
    change(tree.folder(2))
    with pytest.raises(EwsError, match=message) as caught:
        _measure(tree)
    assert str(tree.folder(2) / file) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("cells"), "not a study's manifest"),
        (lambda raw: raw["cells"].clear(), "has no cells"),
        (lambda raw: raw["cells"][0]["label"].pop("method"), "not a study's manifest"),
        (lambda raw: raw["evaluations"].append("pgd"), "unknown evaluation 'pgd'"),
        (lambda raw: raw["cells"][1].update(seed=0), "same row and seed"),
        (lambda raw: raw.update(rows=["colour"]), "unknown axis 'colour'"),
    ],
)
def test_malformed_manifests_are_refused(grow: Grow, change: Callable[[dict[str, Any]], object], message: str) -> None:
    tree = grow(**SMALL)
    change(tree.manifest)
    tree.rewrite()
    with pytest.raises(EwsError, match=message) as caught:
        manifest.load(tree.study)
    assert str(tree.study) in str(caught.value)


def test_measurements_of_another_study_are_refused(grow: Grow) -> None:
    tree = grow(**SMALL)
    study, found, _ = _measure(tree)
    path = tree.out / "measurements.csv"
    measurements.write(path, found[:5])
    with pytest.raises(EwsError, match="does not hold the rows and seeds"):
        measurements.read(path, study)
    path.write_text(path.read_text().replace("reported\n", "published\n"))
    with pytest.raises(EwsError, match="the columns are"):
        measurements.read(path, study)


@pytest.mark.parametrize("name", ["clean.json", "corruption.json"])
def test_an_evaluation_on_other_test_images_is_refused(grow: Grow, name: str) -> None:
    tree = grow(**SMALL, test_images=500)
    path = tree.folder(0) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test_images": None}))
    with pytest.raises(EwsError, match=f"{name}: was measured on all test images; the study asks for 500"):
        _measure(tree)
