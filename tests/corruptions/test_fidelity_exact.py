"""The corruptions without chance, and the deterministic cores of the others, against the peer and plain formulas."""

import numpy as np
import pytest
from scipy import ndimage, stats

from ews.corruptions import corrupt
from ews.corruptions.blur import DEFOCUS_BLUR, GAUSSIAN_BLUR, ZOOM_BLUR, scatter
from ews.corruptions.digital import BRIGHTNESS, CONTRAST, JPEG_COMPRESSION, PIXELATE, SATURATE
from ews.corruptions.elastic import sample
from ews.corruptions.noise import (
    alias_table,
    gaussian_transitions,
    impulse_transitions,
    shot_transitions,
    speckle_transitions,
)
from ews.corruptions.plasma import plasma
from ews.images.filters import motion_blur
from ews.images.streams import Streams

CONSTANTS = {
    "brightness": BRIGHTNESS,
    "contrast": CONTRAST,
    "saturate": SATURATE,
    "pixelate": PIXELATE,
    "jpeg_compression": JPEG_COMPRESSION,
    "defocus_blur": DEFOCUS_BLUR,
    "gaussian_blur": GAUSSIAN_BLUR,
    "zoom_blur": ZOOM_BLUR,
}
SEVERITIES = range(1, 6)


def _close(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of the values that are at most one grey level apart."""
    return float((np.abs(one.astype(np.int64) - other.astype(np.int64)) <= 1).mean())


def _reference(reference, name: str, images: np.ndarray, constants: object) -> np.ndarray:
    arguments = constants if isinstance(constants, tuple) else (constants,)
    return np.stack([reference.cut(getattr(reference, name)(image, *arguments)) for image in images])


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", CONSTANTS)
def test_peer_at_224(photographs, name: str, severity: int) -> None:
    peer = pytest.importorskip("imagecorruptions")
    images = photographs["imagenet"][::2]
    ours = corrupt(images, name=name, severity=severity, seed=0, profile="imagenet")
    theirs = np.stack([peer.corrupt(image, severity=severity, corruption_name=name) for image in images])
    assert _close(ours, theirs) >= 0.999


@pytest.mark.parametrize("severity", [1, *(pytest.param(one, marks=pytest.mark.slow) for one in (2, 3, 4)), 5])
@pytest.mark.parametrize("name", CONSTANTS)
def test_reference_is_the_peer_at_224(photographs, reference, name: str, severity: int) -> None:
    peer = pytest.importorskip("imagecorruptions")
    images = photographs["imagenet"][:1]
    plain = _reference(reference, name, images, CONSTANTS[name]["imagenet"][severity - 1])
    theirs = np.stack([peer.corrupt(image, severity=severity, corruption_name=name) for image in images])
    assert _close(plain, theirs) >= 0.999


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("profile", ["cifar", "tiny"])
@pytest.mark.parametrize("name", CONSTANTS)
def test_reference_at_32_and_64(photographs, reference, name: str, profile: str, severity: int) -> None:
    images = photographs[profile]
    ours = corrupt(images, name=name, severity=severity, seed=0, profile=profile)
    plain = _reference(reference, name, images, CONSTANTS[name][profile][severity - 1])
    assert _close(ours, plain) >= 0.999
    assert np.abs(ours.astype(int) - images.astype(int)).mean() > 0.1 or name in ("defocus_blur", "jpeg_compression")


@pytest.mark.parametrize("side", [32, 33, 64, 101])
def test_jpeg_is_pillows(photographs, reference, side: int) -> None:
    images = photographs["imagenet"][:, :side, :side]
    for severity in SEVERITIES:
        ours = corrupt(images, name="jpeg_compression", severity=severity, seed=0)
        plain = _reference(reference, "jpeg_compression", images, JPEG_COMPRESSION["cifar"][severity - 1])
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize("name", ["defocus_blur", "zoom_blur", "gaussian_blur", "motion_blur", "elastic_transform"])
def test_flat_images_stay_flat(name: str) -> None:
    levels = np.array([0, 1, 100, 254, 255], np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (5, 32, 32, 3)).copy()
    for severity in SEVERITIES:
        ours = corrupt(images, name=name, severity=severity, seed=0).astype(int)
        assert np.abs(ours - images).max() <= 1
        assert (ours[0] == 0).all()


@pytest.mark.parametrize("angle", [-45.0, -30.1, 0.0, 12.3, 45.0, -90.0, -135.0])
@pytest.mark.parametrize(("radius", "sigma"), [(6, 1.0), (9, 2.5), (20, 15.0)])
def test_motion_line(photographs, reference, angle: float, radius: int, sigma: float) -> None:
    image = photographs["cifar"][0]
    ours = motion_blur(image[np.newaxis], radius=radius, sigma=sigma, angles=np.array([angle]))[0]
    plain = reference.motion_line(image.astype(np.float64), radius, sigma, angle)
    assert np.abs(ours - plain).max() <= 0.5 + 1e-3


def test_motion_line_is_the_peers(photographs, reference) -> None:
    corruptions = pytest.importorskip("imagecorruptions.corruptions")
    image = photographs["imagenet"][1]
    for angle in (-44.0, -100.0, 7.0):
        theirs = corruptions._motion_blur(image, radius=15, sigma=5, angle=angle)
        assert np.abs(reference.motion_line(image.astype(np.float64), 15, 5, angle) - theirs).max() < 1e-2


class _Given:
    """Streams whose numbers are given by a generator or an array, to feed two implementations alike."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.count, self.rng = count, rng

    def __len__(self) -> int:
        return self.count

    def uniform(
        self, slot: int, shape: tuple[int, ...], *, low: float = 0.0, high: float = 1.0, first: int = 0
    ) -> np.ndarray:
        return self.rng.uniform(low, high, (self.count, *shape))

    def integers(self, slot: int, shape: tuple[int, ...], high: int) -> np.ndarray:
        self.drawn = self.rng.integers(0, high, (self.count, *shape))
        return self.drawn


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_moves_pixels_as_the_loop_of_the_script(reach: int) -> None:
    height, width = 20, 24
    streams = _Given(3, np.random.default_rng(reach))
    source = scatter(streams, 0, height, width, reach).reshape(3, height, width)  # type: ignore[arg-type]
    for image in range(3):
        moved = np.arange(height * width).reshape(height, width)
        draws = streams.drawn[image]
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                down, right = divmod(int(draws[h - reach - 1, w - reach - 1]), 2 * reach)
                moved[h, w] = moved[h + down - reach, w + right - reach]
        np.testing.assert_array_equal(source[image] - image * height * width, moved)


def test_the_scripts_swap_of_two_views_is_a_copy() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    pixels[0, 0], pixels[1, 1] = pixels[1, 1], pixels[0, 0]
    assert pixels[0, 0].tolist() == pixels[1, 1].tolist() == [9, 10, 11]


@pytest.mark.parametrize("decay", [1.4, 3.0])
def test_plasma_is_diamond_square(reference, decay: float) -> None:
    class Unscaled:
        """Hands the plain algorithm the same draws, scaled to the range it asks for."""

        def __init__(self) -> None:
            self.draws = iter(np.random.default_rng(5).uniform(-1, 1, 16 * 16))

        def uniform(self, low: float, high: float) -> float:
            return high * next(self.draws)

    ours = plasma(_Given(1, np.random.default_rng(5)), size=16, decay=decay)[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(ours, reference.plasma(Unscaled(), 16, decay), atol=1e-12)


def test_sampling_is_scipys(photographs) -> None:
    image = photographs["cifar"][0].astype(np.float32)
    rng = np.random.default_rng(0)
    rows, columns = rng.uniform(-40, 70, (2, 32, 32))
    ours = sample(image[np.newaxis], rows[np.newaxis], columns[np.newaxis])[0]
    for channel in range(3):
        expected = ndimage.map_coordinates(image[..., channel], [rows, columns], order=1, mode="reflect")
        np.testing.assert_allclose(ours[..., channel], expected, atol=2e-3)


# ---- noise as transition matrices

TRANSITIONS = {
    "gaussian_noise": (gaussian_transitions, 0.08),
    "speckle_noise": (speckle_transitions, 0.2),
    "shot_noise": (shot_transitions, 50.0),
    "shot_noise of few photons": (shot_transitions, 3.0),
    "impulse_noise": (impulse_transitions, 0.07),
}


@pytest.mark.parametrize("case", TRANSITIONS)
def test_alias_table_holds_the_distribution(case: str) -> None:
    function, constant = TRANSITIONS[case]
    matrix = function(constant)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    share, alias = (table.reshape(256, 256) for table in alias_table(matrix))
    held = share.astype(np.float64)
    for row in range(256):
        np.add.at(held[row], alias[row], 2.0**24 - share[row])
    np.testing.assert_allclose(held / 2.0**32, matrix, atol=256 * 2.0**-32)


@pytest.mark.parametrize("case", TRANSITIONS)
def test_transitions_are_those_of_the_formula(reference, case: str) -> None:
    function, constant = TRANSITIONS[case]
    matrix = function(constant)
    rng = np.random.default_rng(1)
    draw = getattr(reference, case.split(" ")[0])
    for level in (0, 3, 128, 250, 255):
        image = np.full((100, 200, 3), level, np.uint8)
        counts = np.bincount(reference.cut(draw(image, rng, constant)).ravel(), minlength=256)
        expected = matrix[level] * counts.sum()
        assert counts[expected == 0].sum() == 0
        often = expected >= 10
        rest = expected[~often].sum(), counts[~often].sum()
        observed = [*counts[often], *([rest[1]] if rest[0] > 1e-3 else [])]
        wanted = np.array([*expected[often], *([rest[0]] if rest[0] > 1e-3 else [])])
        if len(observed) > 1:
            assert stats.chisquare(observed, wanted * sum(observed) / wanted.sum()).pvalue > 1e-5


@pytest.mark.parametrize("shape", [(32, 32), (5, 32), (32, 3), (17, 31)])
@pytest.mark.parametrize(("whole", "band"), [(1, 1), (2, 100), (4, 2**20), (16, 64 * 8)])
def test_plasma_in_bands_is_the_whole_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], whole: int, band: int
) -> None:
    def cloud(size: tuple[int, int]) -> np.ndarray:
        return plasma(Streams(seed=3, name="fog", severity=4, indices=[2, 9]), size=32, decay=1.7, shape=size)

    expected = cloud((32, 32))
    assert expected.min() == 0 and expected.max() == 1
    monkeypatch.setattr("ews.corruptions.plasma.WHOLE", whole)
    monkeypatch.setattr("ews.corruptions.plasma.BAND", band)
    np.testing.assert_array_equal(cloud(shape), expected[:, : shape[0], : shape[1]])


@pytest.mark.parametrize("name", ["snow", "elastic_transform"])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_long_axes_are_filtered_as_short_ones(
    monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, int], severity: int
) -> None:
    image = np.random.default_rng(severity).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    settings = {"name": name, "severity": severity, "seed": 4, "profile": "tiny"}
    expected = corrupt(image, **settings)
    for module in ("ews.images.filters", "ews.corruptions.elastic"):
        monkeypatch.setattr(f"{module}.LONGEST_DENSE", 16)
    monkeypatch.setattr("ews.corruptions.elastic.ROWS", 24)
    np.testing.assert_array_equal(corrupt(image, **settings), expected)
