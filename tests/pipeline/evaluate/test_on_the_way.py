"""Images corrupted while they are measured: the predictions of stored sets, bit for bit, also after a kill."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.processes import start
from helpers.runs import a_cell, finish
from helpers.science import build_network
from safetensors.torch import save_file

from ews.core.errors import EwsError
from ews.core.files import exclusive, sha256, write_json
from ews.corruptions import corrupt
from ews.corruptions import corrupted_batches as streams
from ews.corruptions.corrupted_batches import batches
from ews.data.dataset import load
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.corrupt.generate_corrupted import write_corrupted, write_labels
from ews.pipeline.evaluate import partial_results, predict
from ews.pipeline.evaluate.corruption import corrupted_images, corruption
from ews.pipeline.evaluate.evaluate_command import main

COUNT = 90
NAMES = ("contrast", "gaussian_noise", "frost")
ARCHITECTURE = {"name": "thin", "network": "cifar_resnet", "depth": 8, "width": 4}
FILES = ("corruption.json", "corruption.npz")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a dataset of 90 test images of 32 x 32, of four classes."""
    folder = tmp_path / "data" / "noisy"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    arrays = {
        "train_images": draw.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
        "train_labels": np.arange(4),
        "test_images": draw.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8),
        "test_labels": draw.integers(0, 4, COUNT),
        "validation": np.arange(0),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    counts = {"train": 4, "test": COUNT, "validation": 0, "image_size": 32}
    pixels = {"mean": [0.5] * 3, "std": [0.25] * 3, "source": {}, "classes": list("abcd"), "name": "noisy"}
    sums = {f"{name}.npy": sha256(folder / f"{name}.npy") for name in arrays}
    write_json(folder / "dataset.json", {**counts, **pixels, "files": sums})
    return folder


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    """A run's folder: a real network, its weights as they are drawn."""
    folder = tmp_path / "run"
    folder.mkdir()
    network = build_network(
        ARCHITECTURE, classes=4, mean=(0.5,) * 3, std=(0.25,) * 3, generator=torch.Generator().manual_seed(0)
    )
    save_file(network.state_dict(), folder / "model.safetensors")
    finish(folder, a_cell(dataset="noisy"), files=["model.safetensors"], data=load(data).checksum)
    return folder


@pytest.fixture
def stored(data: Path) -> Path:
    """The folder of the corrupted sets of seed 7."""
    folder = data.with_name("noisy-c")
    for name in NAMES:
        write_corrupted(data=data, name=name, seed=7, profile="cifar", out=folder / f"{name}.npy", workers=1)
    write_labels(data=data, out=folder / "labels.npy")
    return folder


def command(run: Path, data: Path, *more: object, out: Path | None = None, names: tuple[str, ...] = NAMES) -> list[str]:
    out = out or run
    places = ["--run", run, "--data", data, "--out", out]
    return [str(part) for part in ("corruption", *places, "--names", *names, *more)]


MADE = ("--seed", 7, "--profile", "cifar")


def contents(folder: Path) -> list[bytes]:
    return [(folder / file).read_bytes() for file in FILES]


@pytest.mark.parametrize(
    ("batch", "piece", "workers", "subset"),
    [
        (250, 2**22, 0, ()),
        (250, 2**22, 1, ()),
        (250, 2**22, 2, ("--test-images", 23)),
        (32, 5 * 3072, 1, ("--test-images", 33)),
        (32, 5 * 3072, 3, ()),
        (7, 7 * 3072, 2, ("--test-images", 23)),
    ],
)
def test_the_files_are_those_of_stored_images(
    run: Path,
    data: Path,
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    piece: int,
    workers: int,
    subset: tuple[object, ...],
) -> None:
    monkeypatch.setattr(predict, "BATCH", batch)
    monkeypatch.setattr(corrupted_images, "BATCH", batch)
    monkeypatch.setattr(streams, "PIECE", piece)
    main(command(run, data, "--corrupted", stored, *MADE, *subset, out=tmp_path / "one"))
    main(command(run, data, *MADE, "--workers", workers, *subset, out=tmp_path / "two"))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    arrays = np.load(tmp_path / "two" / "corruption.npz")
    assert arrays["prediction"].shape == (3, 5, int(subset[1]) if subset else COUNT)
    # Something to compare: neither one class throughout, nor the same for every block.
    assert len(np.unique(arrays["prediction"])) > 1
    assert not (arrays["confidence"] == arrays["confidence"][:1, :1]).all()
    assert sorted(path.name for path in (tmp_path / "two").iterdir() if path.is_file()) == sorted(FILES)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_the_images_with_their_own_numbers(
    data: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(streams, "PIECE", 4 * 3072)
    indices = np.array([80, 3, 41, 5, 6, 89, 0, 17, 2, 30, 31])
    blocks = [("frost", 5), ("gaussian_noise", 1)]
    made = batches(
        data / "test_images.npy", blocks=blocks, indices=indices, batch=5, seed=7, profile="cifar", workers=workers
    )
    parts = list(made)
    assert [len(part) for part in parts] == [5, 5, 1] * 2
    clean = np.load(data / "test_images.npy")
    for place, (name, severity) in enumerate(blocks):
        whole = corrupt(clean, name=name, severity=severity, seed=7)
        np.testing.assert_array_equal(np.concatenate(parts[3 * place : 3 * place + 3]), whole[indices])


Measure = Callable[..., int]


@pytest.fixture
def measure(run: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Return a function that evaluates, and says how many blocks were computed; it may be stopped after some."""
    compute = predict.predict_batches

    def call(*more: object, stop: int | None = None, out: Path | None = None, names: tuple[str, ...] = NAMES) -> int:
        done = 0

        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            if done == stop:
                raise KeyboardInterrupt
            done += 1
            return compute(*arguments, **options)

        monkeypatch.setattr(corruption, "predict_batches", counted)
        try:
            main(command(run, data, *more, out=out, names=names))
        except KeyboardInterrupt:
            assert done == stop
        return done

    return call


@pytest.mark.parametrize("source", ["stored", "made"])
def test_a_broken_evaluation_goes_on(
    run: Path, data: Path, stored: Path, tmp_path: Path, measure: Measure, source: str
) -> None:
    more = (*MADE, "--corrupted", stored) if source == "stored" else (*MADE, "--workers", 1)
    assert measure(*more, out=tmp_path / "whole") == 15
    measure(*more, stop=6)
    assert not list(run.glob("corruption*"))
    measure(*more, stop=3)
    assert measure(*more) == 15 - 6 - 3
    assert contents(run) == contents(tmp_path / "whole")
    assert not list(run.glob(".*.partial"))


def test_what_other_settings_found_is_not_used(run: Path, data: Path, stored: Path, measure: Measure) -> None:
    made = (*MADE, "--workers", 1)
    measure(*made, stop=6)
    assert measure("--seed", 8, "--profile", "cifar", "--workers", 1, stop=7) == 7
    assert measure(*made, "--test-images", 20, stop=8) == 8
    assert measure(*made, stop=15, names=("frost", "contrast")) == 10  # each replaced the other's
    measure(*made, stop=5)
    # Other weights, in the same folder.
    network = build_network(
        ARCHITECTURE, classes=4, mean=(0.5,) * 3, std=(0.25,) * 3, generator=torch.Generator().manual_seed(1)
    )
    save_file(network.state_dict(), run / "model.safetensors")
    finish(run, a_cell(dataset="noisy"), files=["model.safetensors"], data=load(data).checksum)
    assert measure(*made) == 15


def test_a_kill_while_results_are_written_costs_no_measurement(
    run: Path, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ews.pipeline.evaluate.evaluate_command.write_result", killed)
        with pytest.raises(AssertionError):  # of `measure`: it was not the one that stopped it
            measure(*MADE, "--workers", 1)
    assert not (run / "corruption.json").exists()
    assert measure(*MADE, "--workers", 1) == 0
    assert (run / "corruption.json").exists()
    assert not list(run.glob(".*.partial"))


def test_a_negative_number_of_workers_is_refused(run: Path, data: Path) -> None:
    with pytest.raises(EwsError, match="--workers -1: must be a whole number of at least 0"):
        main(command(run, data, *MADE, "--workers", -1))
    assert sorted(path.name for path in run.iterdir()) == ["model.safetensors", "record.json"]


def test_damaged_kept_parts_are_computed_again(run: Path, measure: Measure, tmp_path: Path) -> None:
    made = (*MADE, "--workers", 1)
    measure(*made, out=tmp_path / "whole")
    measure(*made, stop=4)
    parts = sorted((run / ".corruption.json.partial").glob("*.npz"))
    assert len(parts) == 4
    parts[0].write_bytes(parts[0].read_bytes()[:-7])
    whole = parts[1].read_bytes()
    identity = json.loads(str(np.load(parts[1])[partial_results.IDENTITY]))
    for place in range(0, len(whole), 11):
        parts[1].write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        partial_results.get(parts[1].parent, parts[1].stem, identity=identity)  # whatever it gives, it does not raise
    parts[1].write_bytes(
        whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :]
    )
    identity = json.loads(str(np.load(parts[2])[partial_results.IDENTITY]))
    partial_results.put(parts[2].parent, parts[2].stem, {"prediction": np.zeros(3)}, identity=identity)
    assert measure(*made) == 15 - 1
    assert contents(run) == contents(tmp_path / "whole")


def test_a_second_process_is_refused(run: Path, data: Path, measure: Measure) -> None:
    with exclusive(run / ".corruption.json.partial"), pytest.raises(EwsError, match="another process"):
        measure(*MADE, "--workers", 1)
    assert not list(run.glob("corruption*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_sigkill(run: Path, data: Path, tmp_path: Path, workers: int) -> None:
    said = tmp_path / "said"
    words = command(run, data, *MADE, "--workers", workers, out=tmp_path / "killed")
    process = start(said, main, words)
    kept_parts = tmp_path / "killed" / ".corruption.json.partial"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.is_alive() and not list(kept_parts.glob("contrast-2.npz")):
        time.sleep(0.002)
    process.kill()
    process.join()
    there = len(list(kept_parts.glob("[!.]*.npz")))
    assert 2 <= there < 15
    process = start(said, main, words)
    process.join()
    assert f"{there} of 15 parts were done before" in said.read_text()
    assert process.exitcode == 0
    main(command(run, data, *MADE, "--workers", 1, out=tmp_path / "undisturbed"))
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert not kept_parts.exists()


def test_without_images_it_must_be_said_how_to_make_them(run: Path, data: Path) -> None:
    with pytest.raises(EwsError, match="--seed and --profile must say"):
        main(command(run, data, "--seed", 7))
    with pytest.raises(EwsError, match=r"--names rain: .*gaussian_noise"):
        main(command(run, data, *MADE, names=("rain",)))
    assert sorted(path.name for path in run.iterdir()) == ["model.safetensors", "record.json"]


def test_the_sidecar_says_what_was_measured(run: Path, data: Path, stored: Path) -> None:
    main(command(run, data, "--corrupted", *sorted(stored.iterdir()), "--test-images", 20))
    about = json.loads((run / "corruption.json").read_text())
    assert about["run"] == FinishedRun.open(run).identity
    assert about["data"] == load(data).checksum
    assert (about["options"]["test_images"], about["dataset"]) == (20, "noisy")
    assert about["result"]["corruptions"]["frost"] == {
        "source": "generated", "seed": 7, "profile": "cifar", "sha256": None
    }  # fmt: skip
