"""Error on validation images, clean and under held-out corruptions, against a hand count."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ruler import GREY

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.corruptions import EXTRA, corrupt
from ews.data.dataset import load
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.evaluate.evaluate_command import main

CLASSES, TRAIN = 4, 24
VALIDATION = [1, 2, 5, 6, 8, 11, 12, 15, 16, 19, 21, 22]
WRONG = [2, 8, 15]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset of grey images of 32 pixels, of whose 12 validation images the network gets 3 wrong."""
    folder = tmp_path / "data" / "grey"
    folder.mkdir(parents=True)
    labels = np.arange(TRAIN) % CLASSES
    shown = labels.copy()
    shown[WRONG] = (shown[WRONG] + 1) % CLASSES
    images = np.broadcast_to((GREY * shown).astype(np.uint8)[:, None, None, None], (TRAIN, 32, 32, 3)).copy()
    arrays = {
        "train_images": images,
        "train_labels": labels,
        "test_images": images[:4],
        "test_labels": labels[:4],
        "validation": np.array(VALIDATION),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    info = {
        **{"name": "grey", "classes": list("abcd"), "image_size": 32, "train": TRAIN, "test": 4},
        **{"validation": len(VALIDATION), "mean": [0.5] * 3, "std": [0.25] * 3, "source": {}},
        "files": {f"{name}.npy": sha256(folder / f"{name}.npy") for name in arrays},
    }
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder


def measure(run: Path, data: Path, *more: str) -> tuple[dict, dict[str, np.ndarray]]:
    places = ["--run", str(run), "--data", str(data), "--out", str(run)]
    main(["validation", *places, "--seed", "3", "--profile", "cifar", "--workers", "0", *more])
    return json.loads((run / "validation.json").read_text()), dict(np.load(run / "validation.npz"))


@pytest.fixture
def run(tmp_path: Path, data: Path, write_run) -> Path:
    folder = tmp_path / "run"
    write_run(folder, data, shifts={"model.safetensors": 0.0, "model-best.safetensors": 1.0})
    return folder


def test_errors_are_those_of_the_last_weights_on_the_validation_images_alone(run, data):
    found, arrays = measure(run, data, "--names", "spatter", "speckle_noise")
    dataset = load(data)
    assert found["result"]["clean"] == 100 * len(WRONG) / len(VALIDATION) == 25.0
    assert found["result"]["n"] == len(VALIDATION)
    assert arrays["index"].tolist() == VALIDATION
    assert np.flatnonzero(arrays["clean"] != arrays["label"]).tolist() == [VALIDATION.index(one) for one in WRONG]
    network = read_network(FinishedRun.open(run), "model.safetensors", dataset=dataset, device=torch.device("cpu"))
    expected = {}
    for name in ("spatter", "speckle_noise"):
        errors = []
        for severity in range(1, 6):
            images = corrupt(
                dataset.train_images[VALIDATION], name=name, severity=severity, seed=3, indices=np.array(VALIDATION)
            )
            with torch.inference_mode():
                logits = network(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255)
            errors.append(100 * float(np.mean(logits.argmax(1).numpy() != dataset.train_labels[VALIDATION])))
        expected[name] = np.mean(errors)
    assert {row["corruption"]: row["error"] for row in found["result"]["rows"]} == pytest.approx(expected)
    assert found["result"]["corrupted"] == pytest.approx(np.mean(list(expected.values())))
    assert arrays["prediction"].shape == (2, 5, 12) and arrays["names"].tolist() == ["spatter", "speckle_noise"]


def test_a_subset_is_the_dataset_s_stratified_one(run, data):
    found, arrays = measure(run, data, "--names", *EXTRA, "--images", "8")
    assert arrays["index"].tolist() == load(data).validation_indices(8).tolist()
    assert np.bincount(arrays["label"]).tolist() == [2, 2, 2, 2]
    assert found["result"]["n"] == 8 and len(found["result"]["rows"]) == 4


def test_none_of_the_benchmark_s_corruptions_can_be_asked_for(run, data):
    with pytest.raises(EwsError, match=r"--names fog"):
        measure(run, data, "--names", "fog")


def test_a_dataset_without_validation_images_is_named(run, data):
    np.save(data / "validation.npy", np.array([], dtype=np.int64))
    info = json.loads((data / "dataset.json").read_text())
    info["validation"] = 0
    info["files"]["validation.npy"] = sha256(data / "validation.npy")
    (data / "dataset.json").write_text(json.dumps(info))
    from helpers.runs import a_cell, finish

    architecture = {"name": "ruler", "parameters": {"network": "ruler"}, "dynamic": None}
    finish(run, a_cell(architecture=architecture), files=["model.safetensors"], data=load(data).checksum)
    with pytest.raises(EwsError, match=r"has no validation images\. Set datasets\.grey\.validation above 0"):
        measure(run, data, "--names", "spatter")
