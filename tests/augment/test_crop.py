"""Crop and flip against a loop over pixels; the draws against their distributions."""

import numpy as np
import pytest
import torch

from ews.augment.crop import crop_and_flip, draw, to_float
from ews.core.errors import EwsError

N = 40_000


def by_hand(image: np.ndarray, *, top: int, left: int, flip: bool, padding: int, fill: int = 0) -> np.ndarray:
    """Crop one image pixel by pixel."""
    height, width, _ = image.shape
    result = np.full_like(image, fill)
    for y in range(height):
        for x in range(width):
            row, column = top + y - padding, left + x - padding
            if 0 <= row < height and 0 <= column < width:
                result[y, width - 1 - x if flip else x] = image[row, column]
    return result


@pytest.mark.parametrize("fill", [0, 128, 255])
@pytest.mark.parametrize(("size", "padding"), [((6, 6), 2), ((5, 8), 3), ((4, 4), 0)])
def test_crop_and_flip_equals_a_loop(size, padding, fill):
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (30, *size, 3), dtype=np.uint8)
    top, left = generator.integers(0, 2 * padding + 1, (2, 30))
    flip = generator.random(30) < 0.5
    result = crop_and_flip(
        torch.from_numpy(images),
        top=torch.from_numpy(top),
        left=torch.from_numpy(left),
        flip=torch.from_numpy(flip),
        padding=padding,
        fill=fill,
    ).numpy()
    for image, got, t, lft, f in zip(images, result, top, left, flip, strict=True):
        assert np.array_equal(got, by_hand(image, top=t, left=lft, flip=f, padding=padding, fill=fill))


def test_the_loader_applies_each_images_own_draw(make, images):
    draws = draw(seed=7, epoch=2, count=len(images), padding=4, flip=True)
    order = np.array([12, 3, 39, 0])
    (batch,) = make("standard", seed=7).loader(order, epoch=2, batch_size=10)
    for got, i in zip(batch[0], order, strict=True):
        expected = by_hand(images[i], top=draws.top[i], left=draws.left[i], flip=draws.flip[i], padding=4)
        assert np.array_equal(got.numpy(), expected.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("name", ["standard", "augmix"])
def test_every_augmentation_begins_with_the_dataset_s_padding(make, images, name):
    draws = draw(seed=0, epoch=1, count=len(images), padding=4, flip=True)
    (batch,) = make(name, crop_fill=128).loader(np.arange(40), epoch=1, batch_size=40)
    for got, image, top, left, flip in zip(batch[0], images, draws.top, draws.left, draws.flip, strict=True):
        expected = by_hand(image, top=top, left=left, flip=flip, padding=4, fill=128)
        assert np.array_equal((got.numpy() * 255).round().transpose(1, 2, 0), expected)


def test_autoaugment_begins_with_the_dataset_s_padding(make, images):
    """Its policy gets the image that `standard` shows."""
    dark, grey, again = (
        next(make("autoaugment", crop_fill=fill).loader(np.arange(40), epoch=1, batch_size=40)) for fill in (0, 128, 0)
    )
    assert torch.equal(dark, again)
    changed = (dark != grey).any(dim=2)[0].flatten(1).any(dim=1)
    offsets = draw(seed=0, epoch=1, count=len(images), padding=4, flip=True)
    assert torch.equal(changed, torch.from_numpy((offsets.top != 4) | (offsets.left != 4)))


@pytest.mark.parametrize("fill", [-1, 256])
def test_a_fill_that_is_no_grey_level_is_refused(make, fill):
    with pytest.raises(ValueError, match="fill"):
        make("standard", crop_fill=fill)


@pytest.mark.parametrize("name", ["standard", "autoaugment", "augmix"])
def test_flip_false_and_no_padding_leave_standard_images_as_they_are(make, images, name):
    augment = make(name, padding=0, flip=False)
    (batch,) = augment.loader(np.arange(40), epoch=0, batch_size=40)
    untouched = np.isclose(batch[0].numpy() * 255, images.transpose(0, 3, 1, 2)).all(axis=(1, 2, 3))
    # A policy may by chance do nothing, but does not do so everywhere.
    assert untouched.all() if name != "autoaugment" else not untouched.all()


def test_flips_are_a_fair_coin():
    flips = draw(seed=0, epoch=0, count=N, padding=4, flip=True).flip
    # Four standard deviations.
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / N**0.5


def test_no_flip_where_the_dataset_forbids_it():
    assert not draw(seed=0, epoch=0, count=N, padding=4, flip=False).flip.any()


def test_offsets_are_uniform_and_independent():
    draws = draw(seed=1, epoch=5, count=N, padding=4, flip=True)
    counts = np.zeros((9, 9, 2))
    np.add.at(counts, (draws.top, draws.left, draws.flip.astype(int)), 1)
    expected = N / counts.size
    chi2 = ((counts - expected) ** 2 / expected).sum()
    freedom = counts.size - 1
    # Normal approximation of chi-squared: mean k, variance 2k.
    assert abs(chi2 - freedom) < 4 * (2 * freedom) ** 0.5


def test_flipping_does_not_change_where_the_crop_lies():
    with_flip, without = (draw(seed=0, epoch=0, count=50, padding=4, flip=flip) for flip in (True, False))
    assert np.array_equal(with_flip.top, without.top)
    assert np.array_equal(with_flip.left, without.left)


def test_consecutive_epochs_are_unrelated():
    first, second = (draw(seed=0, epoch=epoch, count=N, padding=4, flip=True) for epoch in (0, 1))
    for one, other in ((first.top, second.top), (first.flip, second.flip)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / N**0.5


def test_every_image_has_its_own_seed():
    assert len(np.unique(draw(seed=0, epoch=0, count=N, padding=4, flip=True).seeds)) == N


def test_to_float_is_a_division_by_255_with_channels_first():
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 2, 2, 3) * 10
    result = to_float(images)
    assert result.shape == (2, 3, 2, 2)
    assert result[1, 2, 0, 1] == images[1, 0, 1, 2] / 255


@pytest.mark.parametrize("padding", [-1, 33])
@pytest.mark.parametrize("name", ["standard", "autoaugment", "augmix"])
def test_a_padding_that_does_not_fit_is_refused(make, name, padding):
    with pytest.raises((EwsError, ValueError), match=r"(?s)padding.*(0\.\.32|greater than or equal to 0)"):
        make(name, padding=padding)


@pytest.mark.parametrize("shape", [(4, 32, 32), (4, 3, 32, 32), (4, 32, 32, 1)])
def test_other_arrays_than_colour_images_are_refused(make, shape):
    with pytest.raises(EwsError, match=r"uint8 \[N, H, W, 3\]"):
        make("standard", images=np.zeros(shape, np.uint8))
