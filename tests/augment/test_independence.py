"""An image's augmentation depends on (seed, epoch, index) alone: the promise on which resuming rests."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.science import build_augmentation
from torch import Tensor
from torch.utils.data import DataLoader

from ews.augment import augmentation_workers
from ews.augment.augmentation import Augment, Source
from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import Crop
from ews.augment.augmentation_workers import Batches, ImageByImage, Piped, Views
from ews.augment.augmix.augmix import Mixer
from ews.augment.crop import draw
from ews.core.errors import EwsError

ALL = sorted(AUGMENTATIONS)
BY_IMAGE = ["augmix", "autoaugment"]


def epoch(augment: Augment, order: np.ndarray, *, number: int = 3, batch_size: int = 16) -> Tensor:
    """Return all views of an epoch, [V, n, 3, H, W]."""
    return torch.cat(list(augment.loader(order, epoch=number, batch_size=batch_size)), dim=1)


@pytest.fixture
def order(images: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).permutation(len(images))


@pytest.mark.parametrize("name", ALL)
def test_batches_have_the_promised_shape_type_and_range(make, order, name):
    augment = make(name)
    batches = list(augment.loader(order, epoch=0, batch_size=16))
    assert [len(batch[0]) for batch in batches] == [16, 16, 8]
    for batch in batches:
        assert batch.shape[0] == augment.views
        assert batch.shape[2:] == (3, 32, 32)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous()
        assert 0 <= batch.min() and 0.5 < batch.max() <= 1


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("batch_size", [1, 7, 40, 100])
def test_batch_size_changes_nothing(make, order, name, batch_size):
    expected = epoch(make(name), order)
    assert torch.equal(epoch(make(name), order, batch_size=batch_size), expected)


@pytest.mark.parametrize("name", ALL)
def test_order_only_moves_images(make, order, name):
    sorted_views = epoch(make(name), np.sort(order))
    assert torch.equal(epoch(make(name), order), sorted_views[:, order])


@pytest.mark.parametrize("name", ALL)
def test_rows_say_which_random_numbers_an_image_takes(make, images, name):
    """Of equal images the views depend on the row alone; more rows than images may be asked for."""
    same = make(name, images=np.repeat(images[:1], 60, axis=0))
    rows = np.array([58, 3, 3, 40, 0])
    (expected,) = same.loader(rows, epoch=2, batch_size=5)
    few = make(name, images=images[:2])
    (views,) = few.loader(np.zeros(5, dtype=np.int64), epoch=2, batch_size=5, rows=rows)
    assert torch.equal(views, expected) and torch.equal(views[:, 1], views[:, 2])
    assert not torch.equal(views[:, 0], views[:, 1])


@pytest.mark.parametrize("name", ALL)
def test_a_subset_gets_the_same_views(make, order, name):
    everything = epoch(make(name), np.arange(len(order)))
    part = np.array([31, 4, 5, 17])
    assert torch.equal(epoch(make(name), part), everything[:, part])


@pytest.mark.parametrize("name", ALL)
def test_images_that_come_later_in_the_data_change_nothing(make, images, name):
    part = np.arange(10)
    assert torch.equal(epoch(make(name, images=images[:10]), part), epoch(make(name), part))


@pytest.mark.parametrize("name", BY_IMAGE)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_change_no_bit(make, order, name, workers):
    assert torch.equal(epoch(make(name, workers=workers), order), epoch(make(name), order))


@pytest.mark.parametrize("name", ALL)
def test_an_epoch_is_the_same_whatever_ran_before(make, order, name):
    used = make(name)
    for number in range(3):
        epoch(used, order, number=number)
    torch.manual_seed(99)
    assert torch.equal(epoch(used, order), epoch(make(name), order))


@pytest.mark.parametrize("name", ALL)
def test_epochs_and_seeds_differ(make, order, name):
    first = epoch(make(name), order)
    for other in (epoch(make(name), order, number=4), epoch(make(name, seed=1), order)):
        same = (first == other).flatten(2).all(dim=2).float().mean()
        # Equal by chance: offsets 1 in 81, flip 1 in 2.
        assert same < 0.2


@pytest.mark.parametrize("name", ALL)
def test_the_global_generator_is_left_alone(make, order, name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    epoch(make(name), order)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", BY_IMAGE)
def test_stopping_in_the_middle_of_an_epoch_is_harmless(make, order, name):
    augment = make(name, workers=1)
    half = augment.loader(order, epoch=3, batch_size=4)
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert torch.equal(epoch(augment, order), epoch(make(name), order))


def take(image: np.ndarray, seed: int) -> np.ndarray:
    """Return the image as its only view; at module level, so that it can be pickled."""
    return image[None]


def batches_of(images: np.ndarray, views: Views = take) -> Batches:
    return Batches(
        images=images,
        order=np.arange(len(images)),
        batch_size=len(images),
        draws=draw(seed=0, epoch=0, count=len(images), padding=4, flip=True),
        crop=Crop(padding=4, flip=True),
        views=views,
    )


def test_a_spawned_worker_gets_the_name_of_the_file_not_its_bytes(images, tmp_path: Path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    text = pickle.dumps(batches_of(mapped))
    assert len(text) < images.nbytes / 10
    assert torch.equal(pickle.loads(text)[0], batches_of(images)[0])


def test_spawned_workers_give_the_same(images, tmp_path: Path):
    np.save(tmp_path / "images.npy", images)
    mixer = Mixer(width=3, depth_min=1, depth_max=3, severity=3, alpha=1.0)
    batches = batches_of(np.load(tmp_path / "images.npy", mmap_mode="r"), views=mixer)
    loader = DataLoader(batches, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(next(iter(loader)), batches_of(images, views=mixer)[0])


@pytest.mark.parametrize("view", [slice(5, 25), slice(None, None, -1)])
def test_a_part_of_a_mapped_file_is_not_taken_for_the_whole(images, tmp_path: Path, view):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")[view]
    copy = pickle.loads(pickle.dumps(batches_of(mapped)))
    assert torch.equal(copy[0], batches_of(images[view])[0])


def test_read_only_mapped_images_are_taken(images, tmp_path: Path, recwarn):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    cell = {"name": "standard", "padding": 4, "flip": True}
    arguments = {"seed": 0, "device": "cpu", "workers": 0}
    order = np.arange(40)
    expected = epoch(build_augmentation(cell, images=images, **arguments), order)
    assert torch.equal(epoch(build_augmentation(cell, images=mapped, **arguments), order), expected)
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def end(image: np.ndarray, seed: int) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return image[None]


def hang(image: np.ndarray, seed: int) -> np.ndarray:
    time.sleep(600)
    return image[None]


@pytest.mark.parametrize("views", [end, pytest.param(hang, marks=pytest.mark.slow)], ids=["killed", "hangs"])
def test_a_worker_that_ends_or_hangs_is_one_sentence(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch, views: Views
) -> None:
    monkeypatch.setattr(augmentation_workers, "PATIENCE", 2.0)
    source = Source(images=images, seed=0, device="cpu", workers=1)
    augment = ImageByImage(views, source, Crop(padding=4, flip=True))
    before = set(multiprocessing.active_children())
    with pytest.raises(EwsError, match="a worker process ended before its work") as caught:
        list(augment.loader(np.arange(8), epoch=0, batch_size=4))
    assert "\n" not in str(caught.value)
    assert set(multiprocessing.active_children()) <= before


def test_a_batch_goes_through_a_pipe_as_bytes_and_is_pinned_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor alone would be sent as a name in shared memory."""
    batch = Piped(torch.arange(3 * 128 * 64, dtype=torch.int64).to(torch.uint8).reshape(3, 128, 64))
    sent = bytes(ForkingPickler.dumps(batch))
    assert len(sent) > batch.batch.nbytes
    arrived = pickle.loads(sent)
    assert torch.equal(arrived.batch, batch.batch)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    assert torch.equal(arrived.pin_memory().batch, batch.batch + 1)


SMALL = """
import sys
import numpy as np
from ews.augment.augmentation import Source
from ews.augment.augmentation_specs import Crop
from ews.augment.augmix.augmix import AugMix
from ews.augment.augmix.augmix_spec import AugMixParameters

images = np.zeros((512, 32, 32, 3), np.uint8)
augment = AugMix(Source(images=images, seed=0, device="cpu", workers=2), Crop(padding=4, flip=True), AugMixParameters())
print(sum(batch.shape[1] for batch in augment.loader(np.arange(512), epoch=0, batch_size=128)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", ["size=64k", "size=16k", "size=1m,ro"])
def test_workers_need_almost_no_shared_memory(options: str) -> None:
    """In a container of its own, whose shared memory is smaller than a batch, or cannot be written at all."""
    inside = f"mount -t tmpfs -o {options} tmpfs /dev/shm"
    if subprocess.run(["unshare", "-rm", "sh", "-c", inside], capture_output=True).returncode:
        pytest.skip("no file systems may be mounted here")
    command = ["unshare", "-rm", "sh", "-c", f'{inside} && exec "$0" -c "$1"', sys.executable, SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "512\n", done.stderr
    assert done.stderr.startswith("warning: /dev/shm has room for ") and done.stderr.count("\n") == 1
