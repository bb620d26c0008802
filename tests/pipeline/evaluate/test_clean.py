"""Clean error against a hand count, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import NETWORK, a_cell, method, reseal

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.data.dataset import load
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.evaluate.evaluation_uses import code

WIDE = {"network": "wide_resnet", "depth": 10, "widen": 1}


def test_the_error_is_the_hand_count_in_percent(clean, run, data):
    found, _ = clean()
    assert found["result"] == {"last": {"error": 17.5, "correct": 33, "n": 40}, "best": None}
    assert (found["evaluation"], found["dataset"], found["options"]) == ("clean", "grey", {"test_images": None})
    assert found["data"] == load(data).checksum
    assert found["run"] == FinishedRun.open(run).identity
    assert found["files"] == {"clean.npz": sha256(run / "clean.npz")}


def test_predictions_and_confidences_are_compact_and_right(clean, labels, wrong):
    _, arrays = clean()
    assert set(arrays) == {"prediction", "confidence", "index", "label"}
    assert (arrays["label"] == labels).all() and (arrays["index"] == np.arange(len(labels))).all()
    assert arrays["prediction"].dtype == np.uint8 and arrays["confidence"].dtype == np.float16
    assert np.flatnonzero(arrays["prediction"] != labels).tolist() == wrong
    # Distances 0, 1, 2, 3 or 1, 0, 1, 2 classes, times -10: nearly certain.
    assert (arrays["confidence"] > 0.999).all()


def test_a_subset_is_the_datasets_stratified_one(clean, data, labels, wrong):
    found, arrays = clean("--test-images", "12")
    indices = load(data).test_indices(12)
    assert np.bincount(labels[indices]).tolist() == [3, 3, 3, 3]
    expected = len(set(indices.tolist()) & set(wrong))
    last = found["result"]["last"]
    assert last["n"] == found["options"]["test_images"] == len(arrays["prediction"]) == 12
    assert last["correct"] == 12 - expected
    assert last["error"] == pytest.approx(100 * expected / 12)


def test_the_selected_weights_are_measured_beside_the_last(clean, run, data, write_run, labels, wrong):
    # The selected weights name the class above the right one: right only where an image looks one class too low.
    write_run(run, data, shifts={"model.safetensors": 0.0, "model-best.safetensors": 1.0})
    found, arrays = clean()
    looks = labels.copy()
    looks[wrong] = (looks[wrong] + 1) % 4
    right = int((np.minimum(looks + 1, 3) == labels).sum())
    assert found["result"]["best"] == {"error": 100 * (40 - right) / 40, "correct": right, "n": 40}
    assert found["result"]["last"]["error"] == 17.5
    assert np.flatnonzero(arrays["prediction"] != labels).tolist() == wrong


def test_twice_gives_the_same_bytes(clean, run):
    clean()
    first = [(run / name).read_bytes() for name in ("clean.json", "clean.npz")]
    clean()
    assert [(run / name).read_bytes() for name in ("clean.json", "clean.npz")] == first


def test_a_folder_without_a_record_is_refused(clean, run):
    (run / "record.json").unlink()
    with pytest.raises(EwsError, match=r"no finished run.*record\.json"):
        clean()


def test_a_record_that_is_none_is_refused(clean, run):
    (run / "record.json").write_text('{"cell": {}}')
    with pytest.raises(EwsError, match=r"record\.json: has no 'sha256'.*train this run again"):
        clean()


@pytest.mark.parametrize("name", ["model.safetensors", "model-best.safetensors"])
def test_a_damaged_model_is_refused_and_nothing_written(clean, run, data, write_run, name):
    write_run(run, data, shifts={"model.safetensors": 0.0, "model-best.safetensors": 1.0})
    content = bytearray((run / name).read_bytes())
    content[-1] ^= 1
    (run / name).write_bytes(content)
    with pytest.raises(EwsError, match=f"{name}: damaged, or of another run"):
        clean()
    assert not list(run.glob("clean*")) and not list(run.glob(".clean*"))


def test_a_missing_model_is_refused(clean, run):
    (run / "model.safetensors").unlink()
    with pytest.raises(EwsError, match=r"model\.safetensors: missing"):
        clean()


def test_weights_of_another_network_are_refused(clean, run):
    other = {"name": "resnet8", "parameters": NETWORK, "dynamic": None}
    reseal(run / "record.json", lambda record: record["cell"].update(architecture=other))
    with pytest.raises(EwsError, match="does not fit the network"):
        clean()


def test_other_data_than_the_run_was_trained_on_is_refused(clean, data):
    info = json.loads((data / "dataset.json").read_text())
    np.save(data / "train_labels.npy", np.array([3, 2, 1, 0]))
    info["files"]["train_labels.npy"] = sha256(data / "train_labels.npy")
    (data / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(EwsError, match=r"was trained on data of checksum.*--data"):
        clean()


@pytest.mark.parametrize(
    ("count", "message"), [("0", "--test-images 0: .*at least|--test-images 0: .*greater"), ("41", "1 to 40")]
)
def test_a_subset_of_impossible_size_is_refused(clean, count, message):
    with pytest.raises(EwsError, match=message):
        clean("--test-images", count)


def test_planned_code_is_held_to(clean, run):
    planned = code(FinishedRun.open(run).record.cell, "clean", Options())
    found, _ = clean("--fingerprint", planned)
    assert found["code"] == planned
    with pytest.raises(EwsError, match=f"0123456789abcdef then, {planned} now"):
        clean("--fingerprint", "0123456789abcdef")


def test_the_code_is_that_of_the_evaluation_and_the_network_only():
    cell, wider = a_cell(), a_cell(architecture={"name": "w", "parameters": WIDE, "dynamic": None})
    made = CorruptionOptions(names=("fog",), seed=0, profile="cifar")
    codes = [
        code(cell, "clean", Options()),
        code(wider, "clean", Options()),
        code(cell, "corruption", CorruptionOptions(names=("fog",))),
        code(cell, "corruption", made),
        code(cell, "corruption", CorruptionOptions(names=("jpeg_compression",), seed=0, profile="cifar")),
    ]
    assert len(set(codes)) == len(codes)
    assert code(cell, "clean", Options(test_images=10)) == codes[0]
    assert code(a_cell(seed=3, method=method("dropout")), "corruption", made) == codes[3]


def test_no_partial_files_are_left(clean, run: Path):
    clean()
    assert sorted(path.name for path in run.iterdir()) == [
        ".clean.json.finished",
        "clean.json",
        "clean.npz",
        "model.safetensors",
        "record.json",
    ]
