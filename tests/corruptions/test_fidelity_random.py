"""The corruptions with chance have the distribution of the published formulas and of the peer library.

Per severity: mean, variance, squared error against the clean image, and radial power spectrum, each
averaged over four photographs and repeated with independent seeds. The package and its model must
agree within the sampling error that repeated seeds show (Welch's statistic, at most 5.5 with these
fixed seeds: about one chance in a million per comparison at these degrees of freedom).
"""

from collections.abc import Callable

import numpy as np
import pytest

from ews.corruptions import corrupt
from ews.corruptions.blur import GLASS_BLUR, MOTION_BLUR
from ews.corruptions.elastic import ELASTIC_TRANSFORM
from ews.corruptions.noise import GAUSSIAN_NOISE, IMPULSE_NOISE, SHOT_NOISE, SPECKLE_NOISE
from ews.corruptions.spatter import SPATTER
from ews.corruptions.weather import FOG, FROST, FROST_SCALE, SNOW, frost_folder

CONSTANTS: dict[str, dict] = {
    "gaussian_noise": GAUSSIAN_NOISE,
    "shot_noise": SHOT_NOISE,
    "impulse_noise": IMPULSE_NOISE,
    "speckle_noise": SPECKLE_NOISE,
    "glass_blur": GLASS_BLUR,
    "motion_blur": MOTION_BLUR,
    "snow": SNOW,
    "frost": FROST,
    "fog": FOG,
    "spatter": SPATTER,
    "elastic_transform": ELASTIC_TRANSFORM,
}
SEVERITIES = range(1, 6)
BANDS = 6
LIMIT = 5.5
# What float32 against float64 may shift in the mean, in grey levels.
ROUNDING = 0.02


def statistics(corrupted: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return mean, deviation, root of the squared error and log power in bands, float64 [3 + BANDS], of one set."""
    x, y = corrupted.astype(np.float64), clean.astype(np.float64)
    grey = x.mean(axis=3)
    power = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(x.shape[1]), np.fft.fftfreq(x.shape[2]), indexing="ij"))
    band = np.minimum((frequency / 0.5 * BANDS).astype(int), BANDS - 1)
    spectrum = [np.log(power[:, band == number].mean() + 1e-3) for number in range(BANDS)]
    deviation = np.sqrt(x.var(axis=(1, 2)).mean())
    error = np.sqrt(((x - y) ** 2).mean())
    return np.array([x.mean(), deviation, error, *spectrum])


def welch(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the distance of the means of two samples [R, S] in units of its standard error, [S]."""
    error = np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))
    distance = np.abs(one.mean(axis=0) - other.mean(axis=0))
    slack = np.array([ROUNDING] * 3 + [1e-3] * (one.shape[1] - 3))
    return np.maximum(distance - slack, 0) / np.maximum(error, 1e-12)


def ours(name: str, images: np.ndarray, severity: int, profile: str, repeats: int) -> np.ndarray:
    """Return the statistics of the package, [R, S]: repeats differ in the images' indices."""
    many = np.tile(images, (repeats, 1, 1, 1))
    corrupted = corrupt(many, name=name, severity=severity, seed=1, profile=profile)
    return np.stack([statistics(part, images) for part in corrupted.reshape(repeats, *images.shape)])


def theirs(draw: Callable[[np.ndarray], np.ndarray], images: np.ndarray, repeats: int) -> np.ndarray:
    """Return the statistics of another implementation, ``draw(image)``, [R, S]."""
    return np.stack([statistics(np.stack([draw(image) for image in images]), images) for _ in range(repeats)])


def plain(
    reference, name: str, profile: str, severity: int, seed: int, **options
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the plain reference of a corruption as a function of the image."""
    constants = CONSTANTS[name][profile][severity - 1]
    arguments = constants if isinstance(constants, tuple) else (constants,)
    if name == "frost":
        arguments = (*arguments, frost_folder(), FROST_SCALE[profile])
    rng = np.random.default_rng(seed)
    return lambda image: reference.cut(getattr(reference, name)(image, rng, *arguments, **options))


def of_peer(peer, name: str, severity: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the peer library's corruption as a function of the image."""
    return lambda image: peer.corrupt(image, severity=severity, corruption_name=name)


@pytest.fixture(scope="module")
def peer():
    """Return the peer library, its global stream seeded (it has no other)."""
    library = pytest.importorskip("imagecorruptions")
    state = np.random.get_state()
    np.random.seed(12)
    yield library
    np.random.set_state(state)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("profile", ["cifar", pytest.param("tiny", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CONSTANTS)
def test_package_is_the_formula_at_32_and_64(photographs, reference, name: str, profile: str, severity: int) -> None:
    images = photographs[profile]
    repeats = 40 if profile == "cifar" else 16
    expected = theirs(plain(reference, name, profile, severity, seed=2), images, repeats)
    assert welch(ours(name, images, severity, profile, repeats), expected).max() < LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(
    "name", [n for n in CONSTANTS if n not in ("motion_blur", "frost", "snow", "elastic_transform")]
)
def test_package_is_the_peer_at_224(photographs, peer, name: str, severity: int) -> None:
    images = photographs["imagenet"][::3]
    expected = theirs(of_peer(peer, name, severity), images, 14)
    assert welch(ours(name, images, severity, "imagenet", 14), expected).max() < LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", CONSTANTS)
def test_formula_is_the_peer_at_224(photographs, reference, peer, name: str, severity: int) -> None:
    images = photographs["imagenet"][1:2]
    repeats = 10
    if name == "elastic_transform":  # the same formula with other constants, and no affine map
        scale = (12.5, 16.25, 21.25, 25.0, 30.0)[severity - 1]
        rng = np.random.default_rng(3)

        def draw(image: np.ndarray) -> np.ndarray:
            return reference.cut(reference.elastic_transform(image, rng, 1.12 * scale, 2.24, 0))
    else:
        options = {"peer": True} if name in ("motion_blur", "snow", "frost") else {}
        draw = plain(reference, name, "imagenet", severity, seed=3, **options)
    expected = theirs(of_peer(peer, name, severity), images, repeats)
    assert welch(theirs(draw, images, repeats), expected).max() < LIMIT


# 4 has the largest zoom of snow, and a displacement that is quick to smooth.
@pytest.mark.parametrize("severity", [4, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 2, 3, 5))])
@pytest.mark.parametrize("name", ["motion_blur", "snow", "frost", "elastic_transform"])
def test_package_is_the_formula_at_224(photographs, reference, name: str, severity: int) -> None:
    images = photographs["imagenet"][1:2]
    expected = theirs(plain(reference, name, "imagenet", severity, seed=4), images, 12)
    assert welch(ours(name, images, severity, "imagenet", 12), expected).max() < LIMIT


def test_statistics_tell_a_swap_from_a_copy(photographs, reference) -> None:
    images = photographs["tiny"]
    constants = GLASS_BLUR["tiny"][4]
    rng = np.random.default_rng(0)
    swapped = theirs(lambda image: reference.cut(reference.glass_blur(image, rng, *constants, swap=True)), images, 16)
    assert welch(ours("glass_blur", images, 5, "tiny", 16), swapped).max() > 2 * LIMIT


@pytest.mark.parametrize("name", CONSTANTS)
def test_statistics_tell_severities_apart(photographs, name: str) -> None:
    images = photographs["cifar"]
    mild, middle, strong = (ours(name, images, severity, "cifar", 40) for severity in (1, 3, 5))
    assert welch(mild, middle).max() > LIMIT
    assert welch(middle, strong).max() > LIMIT
