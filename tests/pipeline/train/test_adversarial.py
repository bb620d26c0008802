"""Adversarial training runs as a whole: what selects the best epoch, what is recorded, and extra images."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ews.attacks.pgd import pgd
from ews.augment.augmentation_specs import Crop
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.data.dataset import Dataset
from ews.methods.adversarial_objective_spec import AdversarialParameters
from ews.pipeline.study.cell import Cell
from ews.pipeline.train.training import Training

MakeCell = Callable[..., Cell]
Train = Callable[..., Path]
CPU = torch.device("cpu")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def robust_error(cell: Cell, dataset: Dataset, weights: Path, indices: np.ndarray) -> float:
    """PGD on validation images, written out: evaluation mode, cross-entropy, uniform start."""
    network = Training(cell, dataset, device=CPU, workers=0).network
    network.load_state_dict(load_file(weights))
    network.eval()
    images = torch.from_numpy(np.array(dataset.train_images[indices])).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(np.array(dataset.train_labels[indices]))
    objective = next(iter(cell.method.parameters.values()))
    assert isinstance(objective, AdversarialParameters)
    epsilon, step = objective.epsilon, objective.validation_step_size
    attack = {"epsilon": epsilon, "step_size": step, "steps": 2, "start": "uniform", "loss": "cross_entropy"}
    generator = torch_stream(0, "validation attack", 0)
    found = pgd(
        lambda x: network(x.contiguous(memory_format=torch.channels_last)),
        images,
        labels,
        generator=generator,
        **attack,
    )  # type: ignore[arg-type]
    with torch.no_grad():
        answers = network(found.contiguous(memory_format=torch.channels_last)).argmax(1)
    return float((answers != labels).double().mean())


@pytest.mark.parametrize("method", ["at", "trades+awp+ews"])
def test_the_best_epoch_is_that_of_the_lowest_robust_validation_error(
    method: str, make_cell: MakeCell, train: Train, tmp_path: Path, dataset_of: Callable[[int, int], Dataset]
) -> None:
    dataset = dataset_of(60, 30)
    strong = {"epsilon": 60 / 255, "validation_step_size": 40 / 255}
    cell = make_cell(method, epochs=5, learning_rate=0.2, parameters={method.split("+")[0]: strong})
    out = train(cell, tmp_path, dataset=dataset)
    epochs = rows(out / "epochs.csv")
    errors = [float(row["validation_error"]) for row in epochs]
    clean = [float(row["validation_clean_error"]) for row in epochs]
    assert errors != clean
    metrics = json.loads((out / "record.json").read_text())["metrics"]
    best = errors.index(min(errors))
    assert metrics["best_epoch"] == best + 1 and metrics["best_validation_error"] == errors[best]
    assert metrics["best_validation_clean_error"] == clean[best]
    assert (metrics["validation_error"], metrics["validation_clean_error"]) == (errors[-1], clean[-1])
    for name, expected in (("model-best", errors[best]), ("model", errors[-1])):
        weights = out / f"{name}.safetensors"
        assert robust_error(cell, dataset, weights, dataset.validation) == pytest.approx(expected)


def test_a_part_of_the_validation_images_may_do(
    make_cell: MakeCell, train: Train, tmp_path: Path, dataset_of: Callable[[int, int], Dataset]
) -> None:
    dataset = dataset_of(60, 30)
    cell = make_cell("at", epochs=1, parameters={"at": {"validation_images": 12}})
    out = train(cell, tmp_path, dataset=dataset)
    assert json.loads((out / "record.json").read_text())["counts"]["validation_images"] == 12
    (row,) = rows(out / "epochs.csv")
    indices = dataset.validation_indices(12)
    assert sorted(dataset.train_labels[indices].tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    measured = robust_error(cell, dataset, out / "model.safetensors", indices)
    assert float(row["validation_error"]) == pytest.approx(measured)
    with pytest.raises(EwsError, match=r"methods\.at\.validation_images = 31: at most 30 images are there"):
        Training(make_cell("at", parameters={"at": {"validation_images": 31}}), dataset, device=CPU, workers=0)


def test_adversarial_training_never_sees_the_test_images(
    make_cell: MakeCell, train: Train, tmp_path: Path, dataset: Dataset
) -> None:
    blind = dataclasses.replace(dataset, test_images=None, test_labels=None)
    assert (train(make_cell("trades+awp+ews", epochs=1), tmp_path, dataset=blind) / "record.json").is_file()


def test_adversarial_training_learns_robustness(
    make_cell: MakeCell, train: Train, tmp_path: Path, dataset: Dataset
) -> None:
    cell = make_cell("at", epochs=12, learning_rate=0.1, train_images=None)
    epochs = rows(train(cell, tmp_path) / "epochs.csv")
    assert float(epochs[-1]["train_error"]) < 0.3 < float(epochs[0]["train_error"])


def test_ews_of_weight_zero_trains_as_at(make_cell: MakeCell, train: Train, tmp_path: Path) -> None:
    plain = load_file(train(make_cell("at", epochs=2), tmp_path / "at") / "model.safetensors")
    cell = make_cell("at+ews", epochs=2, parameters={"ews": {"weight": 0.0}})
    zero = load_file(train(cell, tmp_path / "ews") / "model.safetensors")
    assert all(torch.equal(plain[name], zero[name]) for name in plain)


@pytest.mark.parametrize("method", ["vanilla", "ews"])
def test_without_extra_images_batches_keep_the_order_of_the_epoch(
    method: str, make_cell: MakeCell, dataset: Dataset
) -> None:
    cell = make_cell(method, crop=Crop(padding=0, flip=False))
    training = Training(cell, dataset, device=CPU, workers=0)
    order = numpy_stream(0, "order", 2).permutation(dataset.training_indices())
    shown = torch.cat([batch.images[0] for batch in training.batches(2)])
    expected = torch.from_numpy(dataset.train_images[order]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-6)
