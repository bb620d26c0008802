"""Extra images in batches: how many, which ones, how augmented, and what a training run without them says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.runs import reseal

from ews.augment.augmentation_specs import Crop
from ews.core.errors import EwsError
from ews.data.dataset import Dataset
from ews.methods.component import Batch
from ews.methods.epoch_sizes import EpochSizes
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint
from ews.pipeline.train.extra_images import ExtraImages
from ews.pipeline.train.training import Training

MakeCell = Callable[..., Cell]
Train = Callable[..., Path]
CPU = torch.device("cpu")
PASS = {"rst": {"epoch": "pass"}}
UNCHANGED = Crop(padding=0, flip=False)


def found(batch: Batch, *sources: np.ndarray) -> list[tuple[int, int]]:
    """Return (source, index) of each image of a batch, without crop and flip."""
    known = {image.tobytes(): (s, i) for s, images in enumerate(sources) for i, image in enumerate(images)}
    pixels = (batch.images[0] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return [known[image.tobytes()] for image in pixels]


def extra_images(cell: Cell, dataset: Dataset, *, sizes: EpochSizes, form: Any = "batches") -> ExtraImages:
    return ExtraImages(cell, dataset, sizes=sizes, form=form, device=CPU, workers=0)


def test_an_epoch_has_as_many_iterations_as_without_extra_images(make_cell: MakeCell, dataset: Dataset) -> None:
    training = Training(make_cell("rst", crop=UNCHANGED), dataset, device=CPU, workers=0)
    assert training.extra is not None
    indices, pool = dataset.training_indices(), training.extra.source.images
    shown: list[int] = []
    for epoch in range(20):
        batches = list(training.batches(epoch))
        # 24 labelled images, four in a batch of eight: three batches of twelve of them.
        assert [len(batch.labels) for batch in batches] == [8] * 3
        assert [batch.iteration for batch in batches] == [3 * epoch + 1, 3 * epoch + 2, 3 * epoch + 3]
        kinds = [found(batch, dataset.train_images, pool) for batch in batches]
        assert all(sum(source for source, _ in batch) == 4 for batch in kinds)
        labelled = [index for batch in kinds for source, index in batch if source == 0]
        assert len(labelled) == len(set(labelled)) == 12 and set(labelled) <= set(indices.tolist())
        shown += labelled
    assert training.sizes.iterations == 3 and training.sizes.images == 24
    # Half of the images in each epoch, fresh ones: each in 10 of 20, standard deviation 2.2.
    assert set(shown) == set(indices.tolist())
    assert max(np.bincount(shown)) <= 19


def test_extra_images_are_drawn_with_replacement(make_cell: MakeCell, dataset_of: Callable[..., Dataset]) -> None:
    """Of n images, m draws show n (1 - (1 - 1/n)^m) different ones, and each m/n times."""
    extra = extra_images(make_cell("rst"), dataset_of(12, 0), sizes=EpochSizes((4,) * 3, (4,) * 3))
    count, epochs = 7, 1500
    orders = np.stack([extra.order(epoch) for epoch in range(epochs)])
    assert orders.shape == (epochs, 12)
    different = np.array([len(set(order.tolist())) for order in orders])
    expected = count * (1 - (1 - 1 / count) ** 12)
    # Four standard errors; without replacement it would be 7 always.
    assert abs(different.mean() - expected) < 4 * different.std() / epochs**0.5
    assert 5.5 < expected < 6.5 and different.std() > 0.5
    counts = np.bincount(orders.ravel(), minlength=count)
    deviation = (orders.size * (1 / count) * (1 - 1 / count)) ** 0.5
    assert np.abs(counts - orders.size / count).max() < 4 * deviation
    # Neighbours are independent: the same image follows itself once in seven times.
    repeats = (orders[:, 1:] == orders[:, :-1]).mean()
    assert abs(repeats - 1 / count) < 4 * (1 / count / (11 * epochs)) ** 0.5


def test_an_image_that_is_drawn_twice_is_augmented_twice(
    make_cell: MakeCell, dataset_of: Callable[..., Dataset]
) -> None:
    sizes = EpochSizes((100,) * 4, (100,) * 4)
    drawn = extra_images(make_cell("rst"), dataset_of(12, 0), sizes=sizes)
    images = torch.cat([views[0] for views, _ in drawn.loader(0)])
    # 57 draws of each, and 5 x 5 crops times 2 flips.
    for index in range(7):
        mine = images[drawn.order(0) == index]
        assert len(torch.unique(mine.flatten(1), dim=0)) > 25


def test_extra_images_have_the_padding_of_the_labelled_ones(make_cell: MakeCell, dataset: Dataset) -> None:
    # No pixel of an image is white.
    cell = make_cell("rst", crop=Crop(padding=5, flip=False, fill=255))
    training = Training(cell, dataset, device=CPU, workers=0)
    assert training.extra is not None and training.extra.source.images.max() < 255
    for views, _ in training.extra.loader(0):
        assert (views == 1).any() and (views[0] > 0).flatten(1).float().mean() > 0.97


def test_a_batch_that_extra_images_fill_takes_more_of_them(make_cell: MakeCell, dataset: Dataset) -> None:
    # 23 labelled images, 14 in a batch of 20: 14 + 6 and 9 + 11.
    cell = make_cell("rst", batch_size=20, train_images=23, crop=UNCHANGED, parameters={"rst": {"share": 0.3}})
    training = Training(cell, dataset, device=CPU, workers=0)
    assert training.extra is not None
    assert (training.sizes.labelled, training.sizes.extra) == ((14, 9), (6, 11))
    batches = [found(batch, dataset.train_images, training.extra.source.images) for batch in training.batches(1)]
    assert [len(batch) for batch in batches] == [20, 20]
    assert [sum(source for source, _ in batch) for batch in batches] == [6, 11]
    # The draws of the epoch in its order, whatever the batch.
    order = training.extra.order(1).tolist()
    assert [sorted(i for s, i in batch if s) for batch in batches] == [sorted(order[:6]), sorted(order[6:])]


def test_a_pass_shows_all_labelled_images_and_extra_ones_in_turn(make_cell: MakeCell, dataset: Dataset) -> None:
    training = Training(make_cell("rst", parameters=PASS), dataset, device=CPU, workers=0)
    extra = training.extra
    assert extra is not None
    batches = list(training.batches(0))
    # 24 labelled images, four in a batch of eight.
    assert [len(batch.labels) for batch in batches] == [8] * 6
    assert training.sizes.iterations == 6 and training.sizes.images == 48
    # All labelled images, and 24 draws of 7 extra ones: each three or four times.
    counts = torch.bincount(torch.cat([batch.labels for batch in batches]), minlength=3).numpy()
    counts = counts - np.bincount(dataset.train_labels[dataset.training_indices()], minlength=3)
    pool = np.bincount(extra.source.labels, minlength=3)
    assert all(3 * low <= int(count) <= 4 * low for count, low in zip(counts, pool, strict=True))


@pytest.mark.parametrize("form", ["batches", "pass"])
@pytest.mark.parametrize("augmentation", ["standard", "augmix"])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_are_a_function_of_seed_and_epoch(
    form: str, augmentation: str, make_cell: MakeCell, dataset: Dataset
) -> None:
    cell = make_cell("rst", augmentation, parameters={"rst": {"epoch": form}})
    used = Training(cell, dataset, device=CPU, workers=0)
    first = list(used.batches(0))
    # Whatever was drawn before, and with any number of workers.
    other = Training(cell, dataset, device=CPU, workers=2 if augmentation == "augmix" else 0)
    for epoch in (1, 0):
        for one, another in zip(used.batches(epoch), other.batches(epoch), strict=True):
            assert torch.equal(one.images, another.images) and torch.equal(one.labels, another.labels)
    assert not torch.equal(first[0].images, next(used.batches(1)).images)
    (changed, *_) = Training(cell.model_copy(update={"seed": 1}), dataset, device=CPU, workers=0).batches(0)
    assert not torch.equal(first[0].images, changed.images)


@pytest.mark.parametrize("form", ["batches", "pass"])
def test_stopped_after_any_epoch_it_ends_the_same(
    form: str,
    make_cell: MakeCell,
    train: Train,
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = make_cell("rst", epochs=3, train_images=23, batch_size=20, parameters={"rst": {"share": 0.3, "epoch": form}})
    undisturbed = train(cell, tmp_path / "undisturbed")
    save = checkpoint.save

    def interrupted(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", interrupted)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(cell, tmp_path / "interrupted")
    monkeypatch.undo()
    assert digests(train(cell, tmp_path / "interrupted")) == digests(undisturbed)


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
    cell = make_cell("rst", batch_size=24, crop=UNCHANGED, parameters=PASS)
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


@pytest.mark.parametrize(("images", "sizes"), [(10, [(4, 4), (4, 4), (2, 2)]), (9, [(4, 4), (4, 4), (1, 1)])])
def test_the_last_batch_keeps_the_proportion(
    images: int, sizes: list[tuple[int, int]], make_cell: MakeCell, dataset: Dataset
) -> None:
    training = Training(make_cell("rst", train_images=images, parameters=PASS), dataset, device=CPU, workers=0)
    assert [len(batch.labels) for batch in training.batches(0)] == [sum(size) for size in sizes]
    assert training.sizes.images == sum(map(sum, sizes))


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
    with pytest.raises(
        EwsError, match=r"methods\.rst\.share = 0\.95: batches of 8 images would have 0 labelled and 8 extra"
    ):
        Training(make_cell("rst", parameters={"rst": {"share": 0.95, "epoch": "pass"}}), dataset, device=CPU, workers=0)


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
    reseal(info, lambda content: content.update(source={"file": "other.npz", "sha256": "1" * 64}))
    out = train(make_cell("rst"), tmp_path, dataset=dataset)
    assert "other extra images" in capsys.readouterr().err
    record = json.loads((out / "record.json").read_text())
    assert record["counts"]["extra_images"] == 7 and len(record["extra_data"]) == 64
