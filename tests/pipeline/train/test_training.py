"""What a training run does and refuses: data it may see, selection, batches, divergence, who may write."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core import files
from ews.core.errors import EwsError
from ews.core.fingerprint import reached
from ews.data.dataset import Dataset
from ews.methods.method_registry import METHODS
from ews.models.architecture_registry import ARCHITECTURES
from ews.pipeline.artifacts.weights import checksum
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint, training_uses
from ews.pipeline.train.teacher_networks import load
from ews.pipeline.train.train_command import main
from ews.pipeline.train.training import Training
from ews.pipeline.train.validate import validation_error
from ews.subnets.search.search_registry import SEARCHES

MakeCell = Callable[..., Cell]
Train = Callable[..., Path]
CPU = torch.device("cpu")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def command(cell: Cell, data: Path, out: Path, *extra: str) -> list[str]:
    module = [
        sys.executable,
        "-m",
        "ews",
        "train",
        "--cell",
        cell.model_dump_json(),
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    return [*module, "--threads", "1", *extra]


def test_files_of_a_run(make_cell: MakeCell, train: Train, tmp_path: Path) -> None:
    out = train(make_cell("ews"), tmp_path)
    epochs = rows(out / "epochs.csv")
    assert list(epochs[0]) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_error",
        "distillation",
        "validation_error",
        "weights_sha256",
    ]
    assert [row["epoch"] for row in epochs] == ["1", "2", "3", "4"]
    assert epochs[-1]["weights_sha256"] == checksum(load_file(out / "model.safetensors"))
    assert len({row["weights_sha256"] for row in epochs}) == 4
    assert [float(row["learning_rate"]) for row in epochs] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    # Three batches per epoch, K = 2.
    assert [row["iteration"] for row in rows(out / "controller.csv")] == ["2", "4", "6", "8", "10", "12"]
    assert [row["epoch"] for row in rows(out / "controller.csv")] == ["1", "2", "2", "3", "4", "4"]
    assert list(rows(out / "kept.csv")[0]) == ["block", "layer", "channel", "kept", "subnets"]
    assert {row["subnets"] for row in rows(out / "kept.csv")} == {"12"}
    assert list(rows(out / "timing.csv")[0]) == [
        "epoch",
        "seconds",
        "images_per_second",
        "start",
        "threads",
        "processor_seconds",
    ]
    record = json.loads((out / "record.json").read_text())
    assert record["cell"] == make_cell("ews").model_dump(mode="json")
    assert record["seed"] == 0 and record["code"] == "0" * 16
    assert record["counts"] == {
        "epochs": 4,
        "parameters": sum(
            value.numel() for name, value in load_file(out / "model.safetensors").items() if trained(name)
        ),
        "starts": 1,
        "train_images": 24,
        "validation_images": 6,
    }
    last = epochs[-1]
    for name in ("train_loss", "train_error", "validation_error", "distillation"):
        assert record["metrics"][name] == float(last[name])
    assert set(record["files"]) == {
        "model.safetensors",
        "model-best.safetensors",
        "epochs.csv",
        "timing.csv",
        "controller.csv",
        "kept.csv",
    }
    for name, digest in record["files"].items():
        assert files.sha256(out / name) == digest


def trained(name: str) -> bool:
    return not any(part in name for part in ("running", "num_batches", "mean", "std"))


def test_best_is_the_earliest_of_lowest_validation_error(
    make_cell: MakeCell, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([0.5, 0.25, 0.25, 0.75])
    weights: list[dict[str, torch.Tensor]] = []

    def measured(self: Training) -> dict[str, float]:
        weights.append({name: value.clone() for name, value in self.network.state_dict().items()})
        return {"validation_error": next(errors)}

    monkeypatch.setattr(Training, "validate", measured)
    out = train(make_cell(), tmp_path)
    best, last = load_file(out / "model-best.safetensors"), load_file(out / "model.safetensors")
    assert best.keys() == weights[1].keys()
    assert all(torch.equal(best[name], weights[1][name]) for name in best)
    assert all(torch.equal(last[name], weights[3][name]) for name in last)
    metrics = json.loads((out / "record.json").read_text())["metrics"]
    assert (metrics["best_epoch"], metrics["best_validation_error"], metrics["validation_error"]) == (2, 0.25, 0.75)


def test_without_a_validation_split_there_is_no_best(
    make_cell: MakeCell, train: Train, tmp_path: Path, dataset_of: Callable[[int, int], Dataset]
) -> None:
    out = train(make_cell(epochs=1), tmp_path, dataset=dataset_of(12, 0))
    assert not (out / "model-best.safetensors").exists()
    assert "validation_error" not in rows(out / "epochs.csv")[0]
    metrics = json.loads((out / "record.json").read_text())["metrics"]
    assert metrics["validation_error"] is None and metrics["best_epoch"] is None


def test_the_test_images_are_not_touched(make_cell: MakeCell, train: Train, tmp_path: Path, dataset: Dataset) -> None:
    blind = dataclasses.replace(dataset, test_images=None, test_labels=None)
    assert (train(make_cell("ews", epochs=1), tmp_path, dataset=blind) / "record.json").is_file()


def test_an_epoch_shows_every_training_image_once(make_cell: MakeCell, dataset: Dataset) -> None:
    training = Training(make_cell(), dataset, device=CPU, workers=0)
    for epoch in range(2):
        batches = list(training.batches(epoch))
        assert [batch.iteration for batch in batches] == [3 * epoch + 1, 3 * epoch + 2, 3 * epoch + 3]
        labels = torch.cat([batch.labels for batch in batches])
        shown = dataset.train_labels[dataset.training_indices()]
        assert sorted(labels.tolist()) == sorted(shown.tolist())
    assert not torch.equal(next(training.batches(0)).labels, next(training.batches(1)).labels)


def test_components_are_told_the_learning_rate_s_share_of_its_largest_value(
    make_cell: MakeCell, dataset: Dataset
) -> None:
    recipe = {"epochs": 6, "warmup_epochs": 1, "milestones": [0.5], "gamma": 0.1, "learning_rate": 0.3}
    training = Training(make_cell(**recipe), dataset, device=CPU, workers=0)
    shares = [training.context.schedule(epoch) for epoch in range(6)]
    assert shares == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.1])


def test_an_epoch_ends_with_the_router_as_it_is_in_training(
    make_cell: MakeCell, dataset: Dataset, teachers: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before validation, and whatever batches of chance its running statistics have seen."""
    cell = make_cell("awnet", learning_rate=0.5)
    taught = {role: one.network for role, one in load(cell, teachers(cell), dataset, CPU).items()}
    training = Training(cell, dataset, device=CPU, workers=0, teachers=taught)
    seen: list[torch.Tensor] = []
    module = sys.modules[type(training.method.objective).__module__]
    settle = module.settle
    monkeypatch.setattr(module, "settle", lambda network, images: (seen.append(images), settle(network, images)))
    training.epoch(0)
    images = torch.cat(seen)
    assert len(images) == 2 * 24
    network = training.network
    with torch.no_grad():
        shown = (images - network.mean) / network.std
        answers = network.router.eval()(shown)[1]
        training_answers = network.router.train()(shown)[1]
    # But for the divisor of the variance, n - 1 in running statistics.
    assert torch.allclose(answers, training_answers, atol=0.02 * float(training_answers.abs().max()))


@pytest.mark.parametrize(("images", "sizes"), [(24, [8, 8, 8]), (23, [8, 8, 7]), (18, [8, 8, 2]), (17, [8, 8])])
def test_a_last_batch_of_one_image_is_left_out(
    images: int, sizes: list[int], make_cell: MakeCell, dataset: Dataset
) -> None:
    training = Training(make_cell(train_images=images), dataset, device=CPU, workers=0)
    assert [len(batch.labels) for batch in training.batches(0)] == sizes
    assert training.sizes.iterations == len(sizes) and training.sizes.images == sum(sizes)


def test_means_of_an_epoch_weigh_images_alike(
    make_cell: MakeCell, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(make_cell(train_images=18), dataset, device=CPU, workers=0)
    losses = iter([1.0, 2.0, 9.0])

    def metrics(batch: Any) -> dict[str, torch.Tensor]:
        return {"loss": torch.tensor(next(losses)), "error": torch.tensor(0.5)}

    monkeypatch.setattr(training.method, "gradients", metrics)
    row = training.epoch(0)
    assert row["train_loss"] == pytest.approx((8 * 1 + 8 * 2 + 2 * 9) / 18)


def test_weights_follow_the_seed(make_cell: MakeCell, dataset: Dataset) -> None:
    def initial(cell: Cell) -> torch.Tensor:
        torch.manual_seed(np.random.default_rng().integers(2**31))
        return torch.cat([p.flatten() for p in Training(cell, dataset, device=CPU, workers=0).network.parameters()])

    assert torch.equal(initial(make_cell()), initial(make_cell("ews")))
    assert not torch.equal(initial(make_cell()), initial(make_cell(seed=1)))


def test_ews_of_weight_zero_trains_as_vanilla(make_cell: MakeCell, train: Train, tmp_path: Path) -> None:
    plain = load_file(train(make_cell(), tmp_path / "vanilla") / "model.safetensors")
    zero = load_file(
        train(make_cell("ews", parameters={"ews": {"weight": 0.0}}), tmp_path / "ews") / "model.safetensors"
    )
    one = load_file(train(make_cell("ews"), tmp_path / "one") / "model.safetensors")
    assert all(torch.equal(plain[name], zero[name]) for name in plain)
    assert not all(torch.equal(plain[name], one[name]) for name in plain)


@pytest.mark.parametrize("augmentation", ["autoaugment", "augmix"])
def test_workers_change_nothing(
    augmentation: str, make_cell: MakeCell, train: Train, tmp_path: Path, digests: Callable[[Path], dict[str, Any]]
) -> None:
    cell = make_cell("dropout", augmentation, epochs=2)
    assert digests(train(cell, tmp_path / "0", workers=0)) == digests(train(cell, tmp_path / "1", workers=1))


def test_training_learns(make_cell: MakeCell, train: Train, tmp_path: Path) -> None:
    epochs = rows(train(make_cell(epochs=12, learning_rate=0.1), tmp_path) / "epochs.csv")
    assert float(epochs[-1]["train_error"]) < 0.2 < float(epochs[0]["train_error"])


def test_divergence_is_an_error_and_writes_nothing_final(make_cell: MakeCell, train: Train, tmp_path: Path) -> None:
    with pytest.raises(EwsError, match=r"diverged in epoch \d.*learning_rate \(1e\+30\)") as raised:
        train(make_cell(learning_rate=1e30, gradient_clip=None), tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert not any((tmp_path / name).exists() for name in ("model.safetensors", "record.json", "epochs.csv"))


@pytest.mark.parametrize("kind", ["damaged", "stale"])
def test_a_state_that_does_not_fit_starts_anew(
    kind: str,
    make_cell: MakeCell,
    train: Train,
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if kind == "damaged":
        (out / "state.pt").write_bytes(b"rubbish")
    else:
        identity = {"parameters": "of another", "code": "0" * 16, "data": "?"}
        checkpoint.save(out / "state.pt", {"identity": identity, "training": {}, "logs": {}})
    train(make_cell(), out)
    assert f"state.pt.{kind}" in capsys.readouterr().err
    (out / f"state.pt.{kind}").unlink()
    assert digests(out) == digests(train(make_cell(), tmp_path / "fresh"))


def test_a_second_process_is_refused(make_cell: MakeCell, data: Path, tmp_path: Path) -> None:
    with files.exclusive(tmp_path / "out"):
        second = subprocess.run(command(make_cell(), data, tmp_path / "out"), capture_output=True, text=True)
    assert second.returncode == 1
    assert "another process is writing here" in second.stderr and "Traceback" not in second.stderr
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".lock"] == []


def test_a_negative_number_of_workers_is_refused(make_cell: MakeCell, data: Path, tmp_path: Path) -> None:
    cell = make_cell().model_dump_json()
    words = ["--cell", cell, "--data", str(data), "--out", str(tmp_path / "out"), "--threads", "1", "--workers", "-1"]
    with pytest.raises(EwsError, match="--workers -1: must be a whole number of at least 0"):
        main(words)
    assert not (tmp_path / "out").exists()


def test_changed_code_is_refused(make_cell: MakeCell, data: Path, tmp_path: Path) -> None:
    refused = subprocess.run(
        command(make_cell(), data, tmp_path, "--fingerprint", "f" * 16), capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "the code changed after" in refused.stderr and "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_of_planning_is_accepted(make_cell: MakeCell, data: Path, tmp_path: Path) -> None:
    cell = make_cell("dropout", epochs=1)
    code = training_uses.code(cell)
    (tmp_path / "cell.json").write_text(cell.model_dump_json())
    arguments = command(cell, data, tmp_path / "out", "--fingerprint", code)
    arguments[arguments.index("--cell") + 1] = f"@{tmp_path / 'cell.json'}"
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "record.json").read_text())["code"] == code
    # A log gets plain lines, one for the start and one per epoch.
    assert done.stderr.count("\n") == 2 and "\r" not in done.stderr


def test_uses_follow_the_cell(make_cell: MakeCell) -> None:
    network = ARCHITECTURES["cifar_resnet"].implementation
    assert training_uses.uses(make_cell("dropout+ews", "augmix")) == [
        AUGMENTATIONS["augmix"].implementation,
        network,
        METHODS["dropout"].implementation,
        METHODS["ews"].implementation,
        SEARCHES["learned"].implementation,
    ]
    assert training_uses.uses(make_cell()) == [AUGMENTATIONS["standard"].implementation, network]


def test_planning_needs_no_torch() -> None:
    code = (
        "import sys; import ews.pipeline.train.training_uses, ews.methods, ews.models, ews.augment, ews.subnets.search;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0


def test_one_method_s_code_is_not_another_s(make_cell: MakeCell) -> None:
    """The modules that only ews needs are outside the fingerprints of vanilla and dropout."""
    seen = set(reached("ews.pipeline.train.train_command"))
    private = {"ews.methods.ews.ews", "ews.methods.dropout.dropout", "ews.subnets.controller", "ews.subnets.distil"}
    assert "ews.methods.compose" in seen and not seen & private


def test_validation_counts_wrong_and_not_finite_answers() -> None:
    images = np.arange(7, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    labels = np.array([0, 1, 0, 1, 0, 1, 0])
    network = torch.nn.BatchNorm2d(3).train()

    def logits(pixels: torch.Tensor) -> torch.Tensor:
        assert not network.training
        value = (pixels[:, 0, 0, 0] * 255).round()
        answer = torch.stack([torch.ones_like(value), torch.zeros_like(value)], dim=1)
        answer[value == 4] = float("nan")
        return answer

    # Always class 0: of images 1..6 the odd ones are wrong, and 4 is not a number.
    for batch_size in (2, 4, 100):
        error = validation_error(
            network,
            logits,
            images=images,
            labels=labels,
            indices=np.arange(1, 7),
            batch_size=batch_size,
            device=CPU,
        )
        assert error == pytest.approx(4 / 6)
    assert network.training
