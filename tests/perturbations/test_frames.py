"""Each perturbation against its mathematics: closed forms, plain loops and distributions."""

import colorsys
import math

import numpy as np
import pytest

from ews.corruptions import corrupt
from ews.perturbations import PROFILES, frames, perturb
from ews.perturbations.frame_geometry import affine, homography

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
START = {"cifar": -7, "tiny": -15, "imagenet": -20}


def smooth(size: int = 32) -> np.ndarray:
    """One image without sharp edges, so that interpolation has little room; uint8 [1, size, size, 3]."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(3 * x + 2 * y), np.cos(4 * x - y), np.sin(2 * x * y + y)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)[np.newaxis]


def sample(image: np.ndarray, x: float, y: float) -> np.ndarray | None:
    """Interpolate at a place in pixel centres, with nearest pixels beyond the outermost centres; None off the image."""
    height, width = image.shape[:2]
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        return None
    left, top = math.floor(x), math.floor(y)
    total = np.zeros(3)
    for row, wy in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, wx in ((left, 1 - (x - left)), (left + 1, x - left)):
            value = image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
            total += wy * wx * value
    return total


# --- noise


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise"])
def test_noise_begins_clean_and_its_frames_are_independent(name: str) -> None:
    made = perturb(IMAGES, name=name, seed=0)
    np.testing.assert_array_equal(made[:, 0], IMAGES)
    grey = np.full((1, 32, 32, 3), 100, np.uint8)
    noise = perturb(grey, name=name, seed=0)[0, 1:].astype(float).reshape(30, -1)
    correlation = np.corrcoef(noise)[np.triu_indices(30, 1)]
    # 435 pairs of 3072 draws: 5 standard errors.
    assert np.abs(correlation).max() < 5 / math.sqrt(3072)


@pytest.mark.parametrize(
    ("name", "profile", "variance"),
    [
        ("gaussian_noise", "cifar", 0.02**2),
        ("gaussian_noise", "tiny", 0.025**2),
        ("gaussian_noise", "imagenet", 0.03**2),
        # Poisson: the variance of a count is its mean, 700 x 0.5 photons.
        ("shot_noise", "cifar", 0.5 / 700),
        ("shot_noise", "tiny", 0.5 / 500),
        ("shot_noise", "imagenet", 0.5 / 300),
    ],
)
def test_variance_of_the_noise_is_the_formulas(name: str, profile: str, variance: float) -> None:
    level = 128
    values = perturb(np.full((2, 64, 64, 3), level, np.uint8), name=name, seed=0, profile=profile)[:, 1:] / 255
    if name == "shot_noise":
        variance *= level / 255 / 0.5
    rounding = 1 / 12 / 255**2
    expected = variance + rounding
    # Truncation takes half a grey level off the mean. 5 standard errors of each.
    count = values.size
    assert values.mean() == pytest.approx((level - 0.5) / 255, abs=5 * math.sqrt(expected / count) + 2e-4)
    assert values.var() == pytest.approx(expected, rel=5 * math.sqrt(2 / count) + 0.02)


# --- blur


@pytest.mark.parametrize(
    ("profile", "radius", "sigma", "step"),
    [("cifar", 6, 1.8, 9), ("tiny", 4, 6 / 7, 5), ("imagenet", 10, 3, 4)],
)
def test_motion_blur_is_a_turning_line_of_taps(profile: str, radius: int, sigma: float, step: float) -> None:
    image = IMAGES[:1, :20, :24]
    made = perturb(image, name="motion_blur", seed=0, profile=profile)[0]
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for frame in (0, 3, len(made) - 1):
        angle = math.radians((frame - (len(made) - 1)) * step)
        total = np.zeros((20, 24, 3))
        for tap, weight in enumerate(weights):
            right, down = math.ceil(tap * math.cos(angle) - 0.5), math.ceil(tap * math.sin(angle) - 0.5)
            rows = np.clip(np.arange(20) + down, 0, 19)
            columns = np.clip(np.arange(24) + right, 0, 23)
            total += weight * image[0][rows][:, columns]
        assert np.abs(made[frame] - np.floor(total + 0.5)).max() <= 1
        assert (made[frame] == np.floor(total + 0.5)).mean() > 0.99


def test_last_frame_of_motion_blur_moves_along_rows_only() -> None:
    stripes = np.repeat(np.arange(32, dtype=np.uint8)[:, None] * 7, 32, axis=1)
    image = np.repeat(stripes[None, :, :, None], 3, axis=3)
    made = perturb(image, name="motion_blur", seed=0)[0]
    np.testing.assert_array_equal(made[-1], image[0])
    assert (made[-11] != image[0]).any()  # ten steps of nine degrees: along columns


def test_zoom_blur_is_the_mean_of_zooms_so_far() -> None:
    made = perturb(IMAGES[:1], name="zoom_blur", seed=0)[0]
    np.testing.assert_array_equal(made[0], IMAGES[0])
    zooms = [
        IMAGES[0].astype(int),
        *(affine(IMAGES[:1], factor=1 + 0.004 * step)[0].astype(int) for step in range(1, 31)),
    ]
    for frame in (1, 7, 30):
        np.testing.assert_array_equal(made[frame], np.sum(zooms[: frame + 1], axis=0) // (frame + 1))
    flat = np.full((1, 32, 32, 3), 77, np.uint8)
    assert (perturb(flat, name="zoom_blur", seed=0) == 77).all()


# --- weather


@pytest.mark.parametrize(("profile", "step"), [("cifar", 0.015), ("tiny", 0.02), ("imagenet", 0.02)])
def test_brightness_adds_equal_steps_to_the_value(profile: str, step: float) -> None:
    image = IMAGES[:1, :16, :16]
    made = perturb(image, name="brightness", seed=0, profile=profile)[0]
    for frame in (0, 11, 16, 30):
        expected = np.empty((16, 16, 3))
        for row in range(16):
            for column in range(16):
                hue, saturation, value = colorsys.rgb_to_hsv(*(image[0, row, column] / 255))
                value = min(max(value + (frame - 15) * step, 0), 1)
                expected[row, column] = colorsys.hsv_to_rgb(hue, saturation, value)
        difference = np.abs(made[frame] - np.floor(expected * 255 + 1e-9))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.99
    # A whole grey level may fall just short in floating point, then truncation takes one off, as in the script.
    assert np.abs(made[15].astype(int) - image[0]).max() <= 1


def test_brightness_of_grey_in_closed_form() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    made = perturb(grey, name="brightness", seed=0)[0]
    for frame in range(31):
        expected = np.floor(np.clip(grey[0] / 255 + (frame - 15) * 0.015, 0, 1) * 255)
        assert np.abs(made[frame] - expected).max() <= 1
    means = made.mean(axis=(1, 2, 3))
    assert (np.diff(means) > 0).all()


@pytest.mark.parametrize("profile", PROFILES)
def test_snow_is_one_layer_of_flakes_that_turns(profile: str) -> None:
    black = np.zeros((1, 128, 128, 3), np.uint8)
    made = perturb(black, name="snow", seed=0, profile=profile)[0]
    assert (made[..., 0] == made[..., 1]).all()
    fallen = made[..., 0].astype(float)
    # Black is whitened to 0.15 x 0.5; on it lie the flakes and the flakes turned by 180 degrees.
    ground = int(0.15 * 0.5 * 255)
    assert np.median(fallen) == pytest.approx(ground, abs=1)
    brightest = fallen.max(axis=(1, 2))
    assert (brightest > ground + 20).all()
    # The same flakes in every frame: light is conserved but for the borders and the clip at white.
    light = (fallen - ground).sum(axis=(1, 2))
    assert light.std() < 0.1 * light.mean()
    np.testing.assert_allclose(fallen, fallen[:, ::-1, ::-1], atol=1)
    # Neighbouring frames are more alike than distant ones.
    near = np.abs(np.diff(fallen, axis=0)).mean()
    assert near < np.abs(fallen[15:] - fallen[:-15]).mean()


def test_share_of_flakes_is_that_of_the_normal_tail() -> None:
    """Before the zoom a value is a flake with P(0.05 + 0.3 z > 0.5); a heavier threshold shows as less light."""
    black = np.zeros((20, 64, 64, 3), np.uint8)
    made = perturb(black, name="snow", seed=0)[:, 0, :, :, 0].astype(float)
    ground = int(0.15 * 0.5 * 255)
    light = np.maximum(made - ground, 0).mean()
    # At the pixels of the grid before the zoom the tail is the normal's; between them lighter, since means vary less.
    z = (0.5 - 0.05) / 0.3
    density, tail = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(z / math.sqrt(2))
    most = 2 * 255 * (0.05 * tail + 0.3 * density)
    assert 0.2 * most < light < most


def test_snow_corruption_is_built_of_the_same_parts() -> None:
    """The two share their code; severity 1 of the corruption whitens less and its flakes lie otherwise."""
    flat = np.full((1, 32, 32, 3), 90, np.uint8)
    corrupted = corrupt(flat, name="snow", severity=1, seed=0)[0]
    made = perturb(flat, name="snow", seed=0)[0, 0]
    assert np.median(made) > np.median(corrupted) > 90


# --- geometry


@pytest.mark.parametrize("profile", PROFILES)
def test_translate_is_a_shifted_crop_on_black(profile: str) -> None:
    images = np.random.default_rng(2).integers(1, 256, (2, 48, 56, 3), dtype=np.uint8)
    made = perturb(images, name="translate", seed=0, profile=profile)
    for frame in range(frames("translate", profile)):
        right = START[profile] + frame
        for column in range(56):
            source = column - right
            expected = images[:, :, source] if 0 <= source < 56 else np.zeros_like(images[:, :, 0])
            np.testing.assert_array_equal(made[:, frame, :, column], expected)
    assert START[profile] + frames("translate", profile) - 1 == {"cifar": 8, "tiny": 15, "imagenet": 20}[profile]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_rotation_and_no_scaling_are_the_identity(profile: str) -> None:
    np.testing.assert_array_equal(perturb(IMAGES, name="rotate", seed=0, profile=profile)[:, 15], IMAGES)
    whole = {"cifar": 15, "tiny": 24, "imagenet": 24}[profile]
    np.testing.assert_array_equal(perturb(IMAGES, name="scale", seed=0, profile=profile)[:, whole], IMAGES)


@pytest.mark.parametrize(("name", "frame"), [("rotate", 0), ("rotate", 22), ("scale", 0), ("scale", 29)])
def test_rotate_and_scale_sample_where_the_inverse_map_points(name: str, frame: int) -> None:
    image = smooth(24)[0]
    made = perturb(image[np.newaxis], name=name, seed=0)[0, frame]
    degrees = frame - 15 if name == "rotate" else 0
    factor = (70 + 2 * frame) / 100 if name == "scale" else 1
    angle, centre = math.radians(degrees), 24 / 2 + 0.5  # in the corner's coordinates
    compared = 0
    for y in range(24):
        for x in range(24):
            right, down = x + 0.5 - centre, y + 0.5 - centre
            source_x = (math.cos(angle) * right + math.sin(angle) * down) / factor + centre - 0.5
            source_y = (-math.sin(angle) * right + math.cos(angle) * down) / factor + centre - 0.5
            expected = sample(image, source_x, source_y)
            if expected is None:
                assert (made[y, x] == 0).all()
            else:
                compared += 1
                assert np.abs(made[y, x] - expected).max() <= 1 + 1e-9
    assert compared > 200


def test_rotation_is_clockwise() -> None:
    image = np.zeros((1, 33, 33, 3), np.uint8)
    image[0, 2:6, 14:20] = 255  # above the centre
    made = perturb(image, name="rotate", seed=0)[0, :, :, :, 0].astype(float)
    columns = (made * np.arange(33)).sum(axis=(1, 2)) / made.sum(axis=(1, 2))
    assert (np.diff(columns) > 0).all()  # from the left to the right over the top


@pytest.mark.parametrize("frame", [0, 8, 15, 30])
def test_tilt_samples_where_the_perspective_points(frame: int) -> None:
    image = smooth(32)[0]
    made = perturb(image[np.newaxis], name="tilt", seed=0)[0, frame]
    angle, distance = math.radians(0.75 * (frame - 15)), math.hypot(32, 32)
    differences = []
    forward = np.zeros((32 * 32, 4))
    for place, (y, x) in enumerate(np.ndindex(32, 32)):
        # A point of the image at depth 1, turned about y, then about x, moved away, projected.
        px, py, pz = x - 16, y - 16, 1.0
        px, pz = math.cos(angle) * px - math.sin(angle) * pz, math.sin(angle) * px + math.cos(angle) * pz
        py, pz = math.cos(angle) * py - math.sin(angle) * pz, math.sin(angle) * py + math.cos(angle) * pz
        depth = pz + distance
        forward[place] = (x, y, distance * px / depth + 16, distance * py / depth + 16)
    matrix = homography(32, 32, degrees=0.75 * (frame - 15))
    projected = matrix @ np.c_[forward[:, :2], np.ones(1024)].T
    np.testing.assert_allclose(projected[:2] / projected[2], forward[:, 2:].T, atol=1e-9)
    inverse = np.linalg.inv(matrix)
    for y, x in np.ndindex(32, 32):
        source = inverse @ (x, y, 1)
        at_x, at_y = source[:2] / source[2]
        if 0 <= at_x <= 31 and 0 <= at_y <= 31:
            expected = sample(image, at_x, at_y)
            differences.append(np.abs(made[y, x] - expected).max())
        elif not (-1 < at_x < 32 and -1 < at_y < 32):
            assert (made[y, x] == 0).all()
    assert len(differences) > 500
    assert max(differences) <= 2


def test_tilt_without_an_angle_shrinks_a_little_as_published() -> None:
    matrix = homography(32, 32, degrees=0)
    distance = math.hypot(32, 32)
    shrink = distance / (distance + 1)
    for x, y in ((0, 0), (31, 5), (16, 16)):
        moved = matrix @ (x, y, 1)
        np.testing.assert_allclose(moved[:2] / moved[2], [(x - 16) * shrink + 16, (y - 16) * shrink + 16])


@pytest.mark.parametrize("name", ["motion_blur", "zoom_blur", "snow", "brightness", "rotate", "tilt", "scale"])
def test_neighbouring_frames_are_closer_than_distant_ones(name: str) -> None:
    made = perturb(np.repeat(smooth(32), 2, axis=0), name=name, seed=0).astype(float)
    near = np.abs(np.diff(made, axis=1)).mean()
    far = np.abs(made[:, 10:] - made[:, :-10]).mean()
    assert 0 < near < 0.5 * far
