"""AugMix: which operations, how chains and mixtures are made, and the consistency loss in closed form."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from ews.augment.augmix import operations
from ews.augment.augmix.augmix import Mixer, jensen_shannon
from ews.augment.augmix.operations import OPERATIONS

PAPER: dict[str, Any] = {"width": 3, "depth_min": 1, "depth_max": 3, "severity": 3, "alpha": 1.0}
GREY = np.full((8, 8, 3), 100, np.uint8)


def colour(value: int) -> operations.Operation:
    """An operation that paints the image."""
    return lambda image, level, sign: Image.new("RGB", image.size, (value, value, value))


class Scripted:
    """Stands in for a generator: given weights and share, and choices in turn; chains of a given depth."""

    def __init__(self, *, weights: list[float], share: float, depths: list[int], choices: list[int]) -> None:
        self.weights, self.share = weights, share
        self.depths, self.choices = iter(depths), iter(choices)

    def dirichlet(self, alpha: list[float]) -> np.ndarray:
        assert len(alpha) == len(self.weights)
        return np.array(self.weights)

    def beta(self, a: float, b: float) -> float:
        assert a == b
        return self.share

    def integers(self, low: int, high: int | None = None, *, size: int | None = None, endpoint: bool = False) -> Any:
        return next(self.depths) if size is None else [next(self.choices) for _ in range(size)]

    def uniform(self, low: float, high: float) -> float:
        return low

    def random(self) -> float:
        return 0.0


# --- operations


def test_nothing_that_the_test_corruptions_contain():
    names = {operation.__name__ for operation in OPERATIONS}
    assert not names & {"color", "colour", "saturate", "contrast", "brightness", "sharpness", "blur", "noise"}
    assert len(names) == len(OPERATIONS) == 9


@pytest.mark.parametrize("level", [0.1, 3.0, 10.0])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_operations_keep_size_and_mode_and_the_input(images, operation, level):
    image = Image.fromarray(images[0])
    result = operation(image, level, -1)
    assert (result.size, result.mode) == ((32, 32), "RGB")
    assert np.array_equal(np.asarray(image), images[0])


@pytest.mark.parametrize(("level", "pixels"), [(0.1, 0), (1.0, 1), (3.0, 3), (10.0, 10)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("name", "axis"), [("translate_x", 1), ("translate_y", 0)])
def test_translations_shift_by_up_to_a_third_of_the_size(images, name, axis, level, pixels, sign):
    image = images[0]
    result = np.asarray(getattr(operations, name)(Image.fromarray(image), level, sign))
    expected = np.roll(image, -sign * pixels, axis=axis)
    index = [slice(None), slice(None)]
    index[axis] = slice(32 - pixels, None) if sign > 0 else slice(0, pixels)
    if pixels:
        expected[tuple(index)] = 0
    assert np.array_equal(result, expected)


def test_lengths_grow_with_the_image():
    image = np.zeros((96, 96, 3), np.uint8)
    image[:, 50] = 255
    shifted = np.asarray(operations.translate_x(Image.fromarray(image), 10, 1))
    assert shifted[0, 50 - 32, 0] == 255


@pytest.mark.parametrize(("level", "bits"), [(0.1, 4), (2.4, 4), (2.5, 3), (5.0, 2), (10.0, 1)])
def test_posterize_keeps_the_highest_bits(level, bits):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    result = np.asarray(operations.posterize(Image.fromarray(ramp), level, 1))
    assert np.array_equal(result, ramp >> (8 - bits) << (8 - bits))


@pytest.mark.parametrize(("level", "threshold"), [(0.1, 254), (5.0, 128), (10.0, 0)])
def test_solarize_inverts_from_the_threshold_on(level, threshold):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    result = np.asarray(operations.solarize(Image.fromarray(ramp), level, 1))
    assert np.array_equal(result, np.where(ramp < threshold, ramp, 255 - ramp))


def test_autocontrast_stretches_each_channel():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 50, 60, 70
    image[0, 0] = [100, 120, 140]
    result = np.asarray(operations.autocontrast(Image.fromarray(image), 1, 1))
    # Pillow rounds down.
    assert (result[0, 0] >= 254).all() and (result[1, 1] == 0).all()


def test_equalize_flattens_the_histogram():
    dark = np.arange(64, dtype=np.uint8).reshape(8, 8, 1).repeat(16, axis=0).repeat(16, axis=1).repeat(3, axis=2)
    result = np.asarray(operations.equalize(Image.fromarray(dark), 1, 1))
    assert result.min() == 0 and result.max() > 240
    assert abs(np.median(result) - 128) < 8


def test_rotation_and_shear_follow_level_and_sign():
    image = np.zeros((33, 33, 3), np.uint8)
    image[:16, 16] = 255  # from the top edge down to the centre
    picture = Image.fromarray(image)

    def mean_column(operation: operations.Operation, level: float, sign: int) -> float:
        top = np.asarray(operation(picture, level, sign))[:16, :, 0].astype(float)
        return float((top.sum(axis=0) * np.arange(33)).sum() / top.sum())

    # Counter-clockwise for a positive sign: the upper half goes left.
    assert mean_column(operations.rotate, 10, 1) < mean_column(operations.rotate, 3, 1) < 16
    assert mean_column(operations.rotate, 10, -1) > mean_column(operations.rotate, 3, -1) > 16
    # A line at x = 16 of row y appears at x = 16 -+ 0.3 y.
    assert mean_column(operations.shear_x, 10, 1) == pytest.approx(16 - 0.3 * 7.5, abs=0.3)
    assert mean_column(operations.shear_x, 10, -1) == pytest.approx(16 + 0.3 * 7.5, abs=0.3)


def test_shear_y_is_shear_x_of_the_transposed_image(images):
    turned = np.ascontiguousarray(images[0].transpose(1, 0, 2))
    one = np.asarray(operations.shear_y(Image.fromarray(turned), 3, 1)).transpose(1, 0, 2)
    assert np.array_equal(one, np.asarray(operations.shear_x(Image.fromarray(images[0]), 3, 1)))


# --- chains and mixtures


def test_the_mixture_is_the_weighted_sum_of_chains_mixed_with_the_clean_image():
    mixer = Mixer(**PAPER, operations=(colour(0), colour(200), colour(40)))
    generator = Scripted(weights=[0.2, 0.3, 0.5], share=0.25, depths=[1, 2, 3], choices=[0, 2, 1, 1, 0, 2])
    mixed = mixer.mix(GREY, generator)  # type: ignore[arg-type]
    # Chains end in the colours 0, 200 and 40.
    assert (mixed == round(0.75 * 100 + 0.25 * (0.2 * 0 + 0.3 * 200 + 0.5 * 40))).all()


def test_a_chain_applies_its_operations_in_order():
    applied: list[str] = []

    def note(name: str) -> operations.Operation:
        def operation(image: Image.Image, level: float, sign: int) -> Image.Image:
            applied.append(name)
            return image

        return operation

    mixer = Mixer(**PAPER, operations=(note("a"), note("b"), note("c")))
    mixer.chain(Image.fromarray(GREY), Scripted(weights=[], share=0, depths=[3], choices=[2, 0, 2]))  # type: ignore[arg-type]
    assert applied == ["c", "a", "c"]


def test_operations_that_do_nothing_give_the_clean_image(images):
    mixer = Mixer(**PAPER, operations=(lambda image, level, sign: image,))
    for seed in range(20):
        assert all(np.array_equal(view, images[seed]) for view in mixer(images[seed], seed))


def test_the_first_view_is_the_clean_image_and_the_others_differ(images):
    views = Mixer(**PAPER)(images[0], 1)
    assert views.shape == (3, 32, 32, 3) and views.dtype == np.uint8
    assert np.array_equal(views[0], images[0])
    assert not np.array_equal(views[1], views[2])


def test_depth_level_and_sign_have_their_distributions():
    depths: Counter[int] = Counter()
    levels: list[float] = []
    signs: Counter[int] = Counter()

    def note(image: Image.Image, level: float, sign: int) -> Image.Image:
        levels.append(level)
        signs[sign] += 1
        return image

    mixer = Mixer(**PAPER, operations=(note,))
    generator = np.random.default_rng(0)
    image = Image.fromarray(GREY)
    chains = 3000
    for _ in range(chains):
        before = len(levels)
        mixer.chain(image, generator)
        depths[len(levels) - before] += 1
    assert set(depths) == {1, 2, 3}
    assert all(abs(count - chains / 3) < 4 * (chains * 2 / 9) ** 0.5 for count in depths.values())
    assert abs(signs[1] - signs[-1]) < 4 * len(levels) ** 0.5
    assert 0.1 <= min(levels) < 0.11 and 2.99 < max(levels) <= 3
    assert np.mean(levels) == pytest.approx(1.55, abs=4 * 2.9 / 12**0.5 / len(levels) ** 0.5)


def test_alpha_1_mixes_uniformly_and_large_alpha_halves():
    def shares(alpha: float) -> np.ndarray:
        mixer = Mixer(**{**PAPER, "alpha": alpha}, operations=(colour(255),))
        black = np.zeros((2, 2, 3), np.uint8)
        return np.array([mixer(black, seed)[1, 0, 0, 0] / 255 for seed in range(1500)])

    uniform = shares(1.0)
    assert uniform.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / 1500) ** 0.5)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.02)
    assert np.abs(shares(1e6) - 0.5).max() < 0.01


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"depth_min": 0}, {"depth_min": 4}, {"severity": 11}, {"alpha": 0.0}, {"jsd_weight": -1.0}],
    ids=str,
)
def test_values_out_of_range_are_refused(make, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make("augmix", **wrong)


# --- the consistency loss


def test_views_that_agree_have_no_divergence():
    logits = torch.randn(1, 5, 10).repeat(3, 1, 1)
    # A constant added to a view's logits is no disagreement.
    assert jensen_shannon(logits + torch.tensor([0.0, 5.0, -3.0])[:, None, None]).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("views", [2, 3])
def test_views_sure_of_different_classes_diverge_by_the_logarithm_of_their_number(views):
    logits = 100 * torch.eye(views, 10)[:, None].repeat(1, 4, 1)
    assert jensen_shannon(logits).item() == pytest.approx(math.log(views), rel=1e-6)


def test_one_dissenter_in_closed_form():
    logits = torch.zeros(3, 1, 2)
    logits[:2, 0, 0] = logits[2, 0, 1] = 100.0
    # Two views sure of one class, one of the other: the entropy of (2/3, 1/3), less none of their own.
    expected = -(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3)
    assert jensen_shannon(logits).item() == pytest.approx(expected, rel=1e-6)


def test_equals_entropy_of_the_mean_less_mean_of_the_entropies():
    logits = torch.randn(3, 50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    p = logits.softmax(-1)

    def entropy(q: torch.Tensor) -> torch.Tensor:
        return -(q * q.log()).sum(-1)

    expected = (entropy(p.mean(0)) - entropy(p).mean(0)).mean()
    assert jensen_shannon(logits).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
def test_value_and_gradient_are_finite_and_bounded(scale):
    logits = (torch.randn(3, 20, 10, generator=torch.Generator().manual_seed(0)) * scale).requires_grad_()
    value = jensen_shannon(logits)
    value.backward()
    assert 0 <= value.item() <= math.log(3) + 1e-6
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_gradient_against_finite_differences():
    logits = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    jensen_shannon(logits).backward()
    assert logits.grad is not None
    step = torch.zeros(3, 2, 4)
    step[1, 0, 2] = 1e-2
    with torch.no_grad():
        slope = (jensen_shannon(logits + step) - jensen_shannon(logits - step)) / 2e-2
    assert slope.item() == pytest.approx(logits.grad[1, 0, 2].item(), rel=1e-2)


def test_autocast_does_not_round_it():
    logits = torch.randn(3, 20, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = jensen_shannon(logits)
    assert value.dtype == torch.float32
    assert torch.equal(value, jensen_shannon(logits.float()))


def test_the_loss_joins_clean_cross_entropy_and_weighted_divergence(make):
    logits, labels = torch.randn(3, 6, 4), torch.arange(6) % 4
    loss = make("augmix", jsd_weight=12.0).loss(logits, labels, functional.cross_entropy)
    expected = functional.cross_entropy(logits[0], labels) + 12 * jensen_shannon(logits)
    assert torch.allclose(loss, expected)
    plain = make("augmix", jsd_weight=0.0).loss
    assert torch.equal(plain(logits, labels, functional.cross_entropy), functional.cross_entropy(logits[0], labels))
