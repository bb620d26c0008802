"""Adversarial training runs as a whole: what selects the best epoch, what is recorded, and extra images."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from ews.methods.component import Batch
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint
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
    with pytest.raises(EwsError, match="31 validation images wanted; valid: 1 to 30"):
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


def test_half_of_a_batch_is_extra(make_cell: MakeCell, dataset: Dataset) -> None:
    training = Training(make_cell("rst"), dataset, device=CPU, workers=0)
    extra = training.extra
    assert extra is not None
    batches = list(training.batches(0))
    # 24 labelled images, four in a batch of eight.
    assert [len(batch.labels) for batch in batches] == [8] * 6
    assert training.iterations == 6 and training.images == 48
    # All labelled images, and 24 draws of 7 extra ones: each three or four times.
    counts = torch.bincount(torch.cat([batch.labels for batch in batches]), minlength=3).numpy()
    counts = counts - np.bincount(dataset.train_labels[dataset.training_indices()], minlength=3)
    pool = np.bincount(extra.source.labels, minlength=3)
    assert all(3 * low <= int(count) <= 4 * low for count, low in zip(counts, pool, strict=True))
    other = Training(make_cell("rst"), dataset, device=CPU, workers=0)
    # A function of (seed, epoch), whatever was drawn before.
    for epoch in (1, 0):
        for one, another in zip(training.batches(epoch), other.batches(epoch), strict=True):
            assert torch.equal(one.images, another.images) and torch.equal(one.labels, another.labels)
    assert not torch.equal(batches[0].images, next(training.batches(1)).images)


def kinds(batch: Batch, *sources: tuple[np.ndarray, np.ndarray]) -> list[int]:
    """Return from which source each image of a batch is, without crop and flip, and hold its label to its image."""
    known = {
        image.tobytes(): (source, int(label))
        for source, (images, labels) in enumerate(sources)
        for image, label in zip(images, labels, strict=True)
    }
    pixels = (batch.images[0] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    found = [known[image.tobytes()] for image in pixels]
    assert [label for _, label in found] == batch.labels.tolist()
    return [source for source, _ in found]


def test_extra_images_keep_their_labels_and_stand_among_the_labelled_ones(
    make_cell: MakeCell, dataset: Dataset
) -> None:
    cell = make_cell("rst", batch_size=24, crop=Crop(padding=0, flip=False))
    training = Training(cell, dataset, device=CPU, workers=0)
    assert training.extra is not None
    sources = (
        (dataset.train_images, dataset.train_labels),
        (training.extra.source.images, training.extra.source.labels),
    )
    orders = [kinds(batch, *sources) for epoch in range(3) for batch in training.batches(epoch)]
    # Twelve of each in a batch; in any order of chance a half without one kind comes once in a million batches.
    assert all(len(order) == 24 and sum(order) == 12 for order in orders)
    assert all({0, 1} == set(half) for order in orders for half in (order[:12], order[12:]))
    assert len({tuple(order) for order in orders}) == len(orders) == 6


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


@pytest.mark.parametrize(("images", "sizes"), [(10, [(4, 4), (4, 4), (2, 2)]), (9, [(4, 4), (4, 4), (1, 1)])])
def test_the_last_batch_keeps_the_proportion(
    images: int, sizes: list[tuple[int, int]], make_cell: MakeCell, dataset: Dataset
) -> None:
    training = Training(make_cell("rst", train_images=images), dataset, device=CPU, workers=0)
    assert [len(batch.labels) for batch in training.batches(0)] == [sum(size) for size in sizes]
    assert training.images == sum(map(sum, sizes))


def test_a_method_without_its_data_stops_before_training(
    make_cell: MakeCell, train: Train, tmp_path: Path, dataset_of: Callable[[int, int], Dataset]
) -> None:
    dataset = dataset_of(12, 0)
    folder = dataset.folder.with_name("blobs-extra")
    (folder / "extra.json").unlink()
    with pytest.raises(EwsError, match=r"blobs-extra: no extra images here.*ews data extra"):
        train(make_cell("trades+rst"), tmp_path / "out", dataset=dataset)
    assert not (tmp_path / "out" / "state.pt").exists()


def test_damaged_extra_images_are_refused(make_cell: MakeCell, dataset_of: Callable[[int, int], Dataset]) -> None:
    dataset = dataset_of(12, 0)
    labels = dataset.folder.with_name("blobs-extra") / "labels.npy"
    np.save(labels, np.zeros(7, dtype=np.int64))
    with pytest.raises(EwsError, match=r"labels\.npy: missing or damaged"):
        Training(make_cell("rst"), dataset, device=CPU, workers=0)


def test_a_share_that_leaves_a_batch_without_one_kind_is_refused(make_cell: MakeCell, dataset: Dataset) -> None:
    with pytest.raises(EwsError, match=r"share 0\.95 of batches of 8 images leaves 0 labelled"):
        Training(make_cell("rst", parameters={"rst": {"share": 0.95}}), dataset, device=CPU, workers=0)


def test_a_state_of_other_extra_images_is_not_continued(
    make_cell: MakeCell,
    train: Train,
    tmp_path: Path,
    dataset_of: Callable[[int, int], Dataset],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = dataset_of(12, 0)
    save = checkpoint.save

    def interrupted(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(make_cell("rst"), tmp_path, dataset=dataset)
    monkeypatch.undo()
    info = dataset.folder.with_name("blobs-extra") / "extra.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "source": {"file": "other.npz", "sha256": "1" * 64}}))
    out = train(make_cell("rst"), tmp_path, dataset=dataset)
    assert "other extra images" in capsys.readouterr().err
    record = json.loads((out / "record.json").read_text())
    assert record["counts"]["extra_images"] == 7 and len(record["extra_data"]) == 64
