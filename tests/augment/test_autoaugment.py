"""AutoAugment: each released operation is Pillow called as its authors call it; torchvision's form is torchvision's."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from ews.augment.autoaugment.autoaugment import POLICIES, Released, Torchvision, make_views
from ews.augment.autoaugment.autoaugment_spec import AutoAugmentParameters
from ews.augment.autoaugment.released_operations import MAGNITUDES, PLAIN, Operations

OPERATIONS = Operations(fill=128, interpolation=Image.Resampling.BICUBIC)
GREY = (128, 128, 128)


def affine(image: Image.Image, matrix: tuple[float, ...], resample: Image.Resampling) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=GREY)  # type: ignore[arg-type]


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """Rotate with an alpha channel, and lay that over grey."""
    rotated = image.convert("RGBA").rotate(degrees)
    return Image.composite(rotated, Image.new("RGBA", rotated.size, (128,) * 4), rotated).convert("RGB")


CUBIC, NEAREST = Image.Resampling.BICUBIC, Image.Resampling.NEAREST
STEPS = {
    "ShearX": np.linspace(0, 0.3, 10),
    "ShearY": np.linspace(0, 0.3, 10),
    "TranslateX": np.linspace(0, 150 / 331, 10),
    "TranslateY": np.linspace(0, 150 / 331, 10),
    "Rotate": np.linspace(0, 30, 10),
    "Color": np.linspace(0.0, 0.9, 10),
    "Contrast": np.linspace(0.0, 0.9, 10),
    "Sharpness": np.linspace(0.0, 0.9, 10),
    "Brightness": np.linspace(0.0, 0.9, 10),
    "Posterize": np.array([8, 8, 7, 7, 6, 6, 5, 5, 4, 4]),
    "Solarize": np.linspace(256, 0, 10),
}
CALLED: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "ShearX": lambda x, m: affine(x, (1, m, 0, 0, 1, 0), CUBIC),
    "ShearY": lambda x, m: affine(x, (1, 0, 0, m, 1, 0), CUBIC),
    "TranslateX": lambda x, m: affine(x, (1, 0, m * x.size[0], 0, 1, 0), NEAREST),
    "TranslateY": lambda x, m: affine(x, (1, 0, 0, 0, 1, m * x.size[1]), NEAREST),
    "Rotate": turned,
    "Color": lambda x, m: ImageEnhance.Color(x).enhance(1 + m),
    "Contrast": lambda x, m: ImageEnhance.Contrast(x).enhance(1 + m),
    "Sharpness": lambda x, m: ImageEnhance.Sharpness(x).enhance(1 + m),
    "Brightness": lambda x, m: ImageEnhance.Brightness(x).enhance(1 + m),
    "Posterize": lambda x, m: ImageOps.posterize(x, int(abs(m))),
    "Solarize": lambda x, m: ImageOps.solarize(x, abs(m)),  # type: ignore[arg-type]
}
MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


# --- the released operations


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", CALLED)
def test_an_operation_is_what_its_authors_call(images: np.ndarray, name: str, sign: int) -> None:
    changed = 0
    for number, size in enumerate(STEPS[name]):
        for pixels in (images[number], images[number][:24]):
            image = Image.fromarray(pixels)
            expected = np.asarray(CALLED[name](image, sign * float(size)))
            assert np.array_equal(np.asarray(OPERATIONS.apply(image, name, number, sign)), expected), number
            assert np.array_equal(np.asarray(image), pixels)
            changed += not np.array_equal(expected, pixels)
    assert changed >= 16


@pytest.mark.parametrize(
    ("name", "called"),
    [("AutoContrast", ImageOps.autocontrast), ("Equalize", ImageOps.equalize), ("Invert", ImageOps.invert)],
)
def test_an_operation_without_magnitude_is_pillow_s(
    images: np.ndarray, name: str, called: Callable[[Image.Image], Image.Image]
) -> None:
    for image in map(Image.fromarray, images[:8]):
        assert np.array_equal(np.asarray(OPERATIONS.apply(image, name, None, -1)), np.asarray(called(image)))


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fill", [0, 77, 128, 255])
def test_what_comes_into_view_has_the_grey_level(name: str, fill: int) -> None:
    red = Image.fromarray(np.full((32, 32, 3), (200, 10, 30), np.uint8))
    operations = Operations(fill=fill, interpolation=Image.Resampling.NEAREST)
    colours = Counter(map(tuple, np.asarray(operations.apply(red, name, 9, 1)).reshape(-1, 3).tolist()))
    assert set(colours) == {(200, 10, 30), (fill,) * 3}
    # A shift by 0.453 of the side: by 15 of 32 pixels, to the nearest; a shear by 0.3 of the row: half of that.
    if name.startswith("Translate"):
        assert colours[(fill,) * 3] == 15 * 32
    if name.startswith("Shear"):
        assert colours[(fill,) * 3] == pytest.approx(0.3 * 32 * 32 / 2, rel=0.1)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_shears_alone_are_interpolated(images: np.ndarray, interpolation: str) -> None:
    resample = Image.Resampling[interpolation.upper()]
    operations = Operations(fill=128, interpolation=resample)
    image = Image.fromarray(images[0])
    expected = affine(image, (1, -0.3, 0, 0, 1, 0), resample)
    assert np.array_equal(np.asarray(operations.apply(image, "ShearX", 9, -1)), np.asarray(expected))
    for name in ("TranslateX", "Rotate"):
        values = set(map(tuple, images[0].reshape(-1, 3).tolist())) | {GREY}
        moved = np.asarray(operations.apply(image, name, 7, 1)).reshape(-1, 3).tolist()
        assert set(map(tuple, moved)) <= values


# --- a sub-policy


def test_each_operation_has_its_probability_and_a_direction_of_its_own() -> None:
    """Of two shifts by 15 pixels, with probabilities 0.7 and 0.2, four outcomes of each."""
    policy = Released([(("TranslateX", 0.7, 9), ("TranslateY", 0.2, 9))], Operations(0, Image.Resampling.NEAREST))
    white = np.full((32, 32, 3), 255, np.uint8)
    places: Counter[tuple[int, int]] = Counter()
    count = 4000
    for seed in range(count):
        lit = np.asarray(policy(white, seed))[0, :, :, 0] > 0
        rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
        places[int(np.sign(31 - rows[0] - rows[-1])), int(np.sign(31 - columns[0] - columns[-1]))] += 1
    across, down = {-1: 0.35, 0: 0.3, 1: 0.35}, {-1: 0.1, 0: 0.8, 1: 0.1}
    for (y, x), number in places.items():
        p = across[x] * down[y]
        assert abs(number - count * p) < 4 * (count * p * (1 - p)) ** 0.5, (y, x)
    assert len(places) == 9


def test_operations_follow_each_other(images: np.ndarray) -> None:
    policy = Released([(("Posterize", 1.0, 9), ("Invert", 1.0, None))], OPERATIONS)
    assert np.array_equal(policy(images[0], 3)[0], 255 - (images[0] & 0xF0))
    never = Released([(("Invert", 0.0, None), ("Invert", 0.0, None))], OPERATIONS)
    assert all(np.array_equal(never(images[seed], seed)[0], images[seed]) for seed in range(20))


def test_every_sub_policy_comes_as_often() -> None:
    # Thresholds 256, 171, 85 and 0: of a ramp they leave as many values as they are.
    numbers = (0, 3, 6, 9)
    policy = Released([(("Solarize", 1.0, number), ("Invert", 0.0, None)) for number in numbers], OPERATIONS)
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    seen = Counter(int((policy(ramp, seed)[0] == ramp).all(axis=2).sum()) for seed in range(2000))
    assert set(seen) == {256, 171, 86, 0}
    assert all(abs(number - 500) < 4 * (2000 * 3 / 16) ** 0.5 for number in seen.values())


def test_the_default_is_the_released_form_on_each_policy(images: np.ndarray) -> None:
    for name in POLICIES:
        made = make_views(AutoAugmentParameters(policy=name))  # type: ignore[arg-type]
        assert isinstance(made, Released) and made.operations == OPERATIONS
        assert len(made.policies) == 25
        used = {step[0] for pair in made.policies for step in pair}
        assert used <= set(MAGNITUDES) | set(PLAIN)
        # All magnitudes of all of its operations are there.
        for pair in made.policies:
            for step, _, number in pair:
                assert (number is None) == (step in PLAIN)
                OPERATIONS.apply(Image.fromarray(images[0]), step, number, 1)


# --- torchvision's form


def test_a_seed_gives_what_torchvision_gives_under_it(images: np.ndarray) -> None:
    policy = AutoAugment(AutoAugmentPolicy.CIFAR10)
    made = make_views(AutoAugmentParameters(form="torchvision", interpolation="nearest", fill=0))
    assert isinstance(made, Torchvision)
    changed = 0
    for seed, image in enumerate(images):
        torch.manual_seed(seed)
        expected = np.asarray(policy(Image.fromarray(image)))
        assert np.array_equal(made(image, 2 * seed)[0], expected)
        changed += not np.array_equal(expected, image)
    assert changed > len(images) / 2


# --- the augmentation


def test_the_same_image_gets_different_views_in_an_epoch(make, images):
    same = np.repeat(images[:1], 30, axis=0)
    (batch,) = make("autoaugment", images=same, padding=0, flip=False).loader(np.arange(30), epoch=0, batch_size=30)
    assert len(torch.unique(batch[0].flatten(1), dim=0)) > 10


def test_policies_are_the_ones_of_the_data(make):
    assert {name: policy.value for name, policy in POLICIES.items()} == {"cifar10": "cifar10", "svhn": "svhn"}
    order = np.arange(40)
    (cifar,), (svhn,) = (
        make("autoaugment", policy=policy).loader(order, epoch=0, batch_size=40) for policy in POLICIES
    )
    assert not torch.equal(cifar, svhn)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"policy": "cifar"}, r"policy\n.*'cifar10' or 'svhn'"),
        ({"fill": 256}, "fill"),
        ({"interpolation": "lanczos"}, "interpolation"),
        ({"form": "paper"}, "form"),
    ],
    ids=str,
)
def test_wrong_values_are_refused(make, wrong, said):
    with pytest.raises(ValueError, match=said):
        make("autoaugment", **wrong)


@pytest.mark.parametrize("name", ["standard", "autoaugment"])
def test_the_loss_is_the_cross_entropy_of_the_view(make, name):
    logits, labels = torch.randn(1, 6, 4), torch.arange(6) % 4
    loss = make(name).loss(logits, labels, torch.nn.functional.cross_entropy)
    assert torch.equal(loss, torch.nn.functional.cross_entropy(logits[0], labels))
