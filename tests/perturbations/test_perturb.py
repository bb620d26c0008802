"""The interface: names, shapes, refusals, and bytes that depend on seed, perturbation and index alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ews.corruptions import corrupt
from ews.perturbations import NAMES, NOISE, PROFILES, frames, perturb
from ews.pipeline.evaluate.alexnet import FLIP_PROBABILITIES

RANDOM = {"gaussian_noise", "shot_noise", "snow"}
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
# Frames of the published scripts.
LENGTHS = {"motion_blur": {"cifar": 21}, "translate": {"cifar": 16, "imagenet": 41}}


def test_names_are_those_of_the_paper() -> None:
    assert NAMES == tuple(FLIP_PROBABILITIES)
    assert NOISE == ("gaussian_noise", "shot_noise")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", NAMES)
def test_shape_and_number_of_frames(name: str, profile: str) -> None:
    expected = LENGTHS.get(name, {}).get(profile, 31)
    assert frames(name, profile) == expected
    made = perturb(IMAGES[:2, :, :28], name=name, seed=0, profile=profile)
    assert made.shape == (2, expected, 32, 28, 3)
    assert made.dtype == np.uint8
    assert perturb(IMAGES[:0], name=name, seed=0, profile=profile).shape == (0, expected, 32, 32, 3)


@pytest.mark.parametrize("name", NAMES)
def test_any_split_gives_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(1).permutation(len(IMAGES))
    whole = perturb(IMAGES, name=name, seed=7)
    shuffled = perturb(IMAGES[order], name=name, seed=7, indices=order)
    np.testing.assert_array_equal(shuffled, whole[order])
    np.testing.assert_array_equal(perturb(IMAGES[[5]], name=name, seed=7, indices=[5])[0], whole[5])
    monkeypatch.setattr("ews.perturbations.perturb_images.BLOCK", 2 * whole[0].size)
    np.testing.assert_array_equal(perturb(IMAGES, name=name, seed=7), whole)


@pytest.mark.parametrize("name", NAMES)
def test_seed_and_index_change_the_random_ones_alone(name: str) -> None:
    same = np.repeat(IMAGES[:1], 2, axis=0)
    first, second = perturb(same, name=name, seed=0)
    (other,) = perturb(same[:1], name=name, seed=1)
    assert (first != second).any() == (name in RANDOM)
    assert (first != other).any() == (name in RANDOM)


def test_noise_is_another_draw_than_the_corruption_of_that_name() -> None:
    grey = np.full((1, 32, 32, 3), 128, np.uint8)
    noise = perturb(grey, name="gaussian_noise", seed=0)[0, 1].astype(float) - 128
    for severity in range(1, 6):
        other = corrupt(grey, name="gaussian_noise", severity=severity, seed=0)[0].astype(float) - 128
        assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.1


def test_other_processes_give_the_same_bytes() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from ews.perturbations import NAMES, perturb\n"
        "images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)\n"
        "print([hashlib.sha256(perturb(images[:2], name=name, seed=3).tobytes()).hexdigest() for name in NAMES])"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    import hashlib

    here = [hashlib.sha256(perturb(IMAGES[:2], name=name, seed=3).tobytes()).hexdigest() for name in NAMES]
    assert said == [f"{here}\n"] * 2


@pytest.mark.parametrize("name", NAMES)
def test_a_crop_is_the_centre_of_frames_made_of_what_is_around(name: str) -> None:
    whole = perturb(IMAGES, name=name, seed=0)
    made = perturb(IMAGES, name=name, seed=0, crop=20)
    if name in ("zoom_blur", "translate", "rotate", "tilt", "scale"):
        np.testing.assert_array_equal(made, whole[:, :, 6:26, 6:26])
    else:
        np.testing.assert_array_equal(made, perturb(IMAGES[:, 6:26, 6:26], name=name, seed=0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "rain"}, "unknown perturbation 'rain'.*snow"),
        ({"name": "fog"}, "unknown perturbation 'fog'"),
        ({"profile": "mnist"}, "unknown profile 'mnist'.*imagenet"),
        ({"seed": 1.5}, "seed 1.5: valid is any integer"),
        ({"seed": True}, "seed True"),
        ({"images": IMAGES.astype(np.float32)}, "float32: valid is .* uint8"),
        ({"images": IMAGES.tolist()}, "images of type list"),
        ({"images": IMAGES[0]}, r"shape \(32, 32, 3\): valid is \[N, H, W, 3\]"),
        ({"images": IMAGES[..., :1]}, r"valid is \[N, H, W, 3\]"),
        ({"images": IMAGES[:, :8]}, "at least 16"),
        ({"indices": [1, 2]}, "one integer for each of the 9 images"),
        ({"indices": [-1] * 9}, "index -1: valid are integers of 0 or more"),
        ({"indices": [0.5] * 9}, "indices of type float64"),
        ({"crop": 33}, "crop 33: valid is an integer from 16 to .* 32"),
        ({"crop": 8}, "crop 8"),
        ({"crop": 20.0}, "crop 20.0"),
    ],
)
def test_what_is_not_valid_is_refused_with_the_valid_values(change: dict, said: str) -> None:
    arguments = {"images": IMAGES, "name": "snow", "seed": 0, **change}
    with pytest.raises(ValueError, match=said):
        perturb(arguments.pop("images"), **arguments)
    with pytest.raises(ValueError, match="unknown"):
        frames("fog", "cifar")


def test_the_package_needs_no_torch() -> None:
    """Workers that make frames start without its seconds and its memory."""
    code = "import sys, ews.pipeline.perturb.generate_perturbed; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_source_of_constants_is_stated() -> None:
    folder = Path(sys.modules["ews.perturbations"].__file__).parent
    for module in ("frame_noise", "frame_blur", "frame_weather", "frame_geometry"):
        assert "make_cifar_p.py" in (folder / f"{module}.py").read_text(encoding="utf-8")
