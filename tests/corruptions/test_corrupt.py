"""The interface: names, refusals, and bytes that depend on seed, corruption, severity and index alone."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.corruptions import BENCHMARK, EXTRA, NAMES, PROFILES, corrupt
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.corruptions.profiles import profile_for
from ews.corruptions.weather import FROST_FILES, frost_folder
from ews.images.streams import Streams

RANDOM = set(NAMES) - {
    "defocus_blur",
    "zoom_blur",
    "gaussian_blur",
    "brightness",
    "contrast",
    "saturate",
    "pixelate",
    "jpeg_compression",
}
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 32, 32, 3), dtype=np.uint8)


def test_names_are_those_of_the_paper() -> None:
    assert NAMES == BENCHMARK + EXTRA
    assert len(BENCHMARK) == 15
    assert set(EXTRA) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}
    peer = pytest.importorskip("imagecorruptions")
    assert set(BENCHMARK) == set(peer.get_corruption_names())
    assert set(NAMES) == set(peer.get_corruption_names("all"))


@pytest.mark.parametrize("name", NAMES)
def test_any_split_gives_the_same_bytes(name: str) -> None:
    order = np.random.default_rng(1).permutation(len(IMAGES))
    for severity in (1, 4, 5):
        whole = corrupt(IMAGES, name=name, severity=severity, seed=7)
        assert whole.dtype == np.uint8
        assert whole.shape == IMAGES.shape
        shuffled = corrupt(IMAGES[order], name=name, severity=severity, seed=7, indices=order)
        np.testing.assert_array_equal(shuffled, whole[order])
        single = [corrupt(IMAGES[[i]], name=name, severity=severity, seed=7, indices=[i]) for i in (0, 11, 22)]
        np.testing.assert_array_equal(np.concatenate(single), whole[[0, 11, 22]])


@pytest.mark.parametrize("name", NAMES)
def test_many_images_are_the_same_in_blocks_of_any_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.random.default_rng(3).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    whole = corrupt(many, name=name, severity=2, seed=0)
    monkeypatch.setattr("ews.corruptions.corrupt_images.BLOCK", 5 * many[0].size)
    np.testing.assert_array_equal(corrupt(many, name=name, severity=2, seed=0), whole)


@pytest.mark.parametrize("name", NAMES)
def test_seed_severity_and_index_each_change_the_random_ones(name: str) -> None:
    same = np.repeat(IMAGES[:1], 2, axis=0)
    first, second = corrupt(same, name=name, severity=3, seed=0)
    (other,) = corrupt(same[:1], name=name, severity=3, seed=1)
    (milder,) = corrupt(same[:1], name=name, severity=2, seed=0)
    assert (first != milder).any()
    assert (first != second).any() == (name in RANDOM)
    assert (first != other).any() == (name in RANDOM)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", PROFILES)
def test_sizes_other_than_the_published(name: str, profile: str) -> None:
    for shape in ((16, 16), (37, 90), (350, 40)):
        images = np.random.default_rng(2).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
        corrupted = corrupt(images, name=name, severity=5, seed=0, profile=profile)
        assert corrupted.shape == images.shape
        assert corrupted.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_alone_and_none_is_allowed(name: str) -> None:
    before = IMAGES.copy()
    before.flags.writeable = False
    corrupt(before, name=name, severity=5, seed=0)
    np.testing.assert_array_equal(before, IMAGES)
    assert corrupt(IMAGES[:0], name=name, severity=1, seed=0).shape == (0, 32, 32, 3)


def test_digits_spatter_without_a_drop_is_clean() -> None:
    # At this severity an image in a few hundred gets no shine; the formula would divide by zero.
    black = np.zeros((400, 16, 16, 3), np.uint8)
    corrupted = corrupt(black, name="spatter", severity=1, seed=0)
    dry = corrupted.max(axis=(1, 2, 3)) == 0
    assert dry.any()
    white = corrupt(255 - black, name="spatter", severity=1, seed=0)
    assert white[dry].min() == 255


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "rain"}, ["rain", "snow", "saturate"]),
        ({"name": "fogg"}, ["Did you mean 'fog'"]),
        ({"severity": 0}, ["0", "1, 2, 3, 4, 5"]),
        ({"severity": 6}, ["6", "1, 2, 3, 4, 5"]),
        ({"severity": 2.0}, ["2.0", "1, 2, 3, 4, 5"]),
        ({"severity": True}, ["True"]),
        ({"seed": "0"}, ["'0'", "integer"]),
        ({"profile": "cifar10"}, ["cifar10", "cifar", "tiny", "imagenet"]),
        ({"images": IMAGES / 255}, ["float64", "uint8"]),
        ({"images": IMAGES.tolist()}, ["list", "uint8"]),
        ({"images": IMAGES[0]}, ["(32, 32, 3)", "[N, H, W, 3]"]),
        ({"images": IMAGES[..., :1]}, ["(23, 32, 32, 1)", "[N, H, W, 3]"]),
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, ["(23, 3, 32, 32)", "[N, H, W, 3]"]),
        ({"images": IMAGES[:, :8]}, ["(23, 8, 32, 3)", "16"]),
        ({"images": np.zeros((1, 16, 2**15, 3), np.uint8)}, ["(1, 16, 32768, 3)", "32,767"]),
        ({"indices": [1, 2]}, ["(2,)", "23"]),
        ({"indices": np.arange(23) / 2}, ["float64"]),
        ({"indices": np.arange(23) - 1}, ["-1", "0 or more"]),
    ],
)
def test_bad_input_names_the_valid(change: dict, words: list[str]) -> None:
    arguments = {"images": IMAGES, "name": "fog", "severity": 1, "seed": 0} | change
    with pytest.raises(ValueError) as caught:
        corrupt(arguments.pop("images"), **arguments)
    for word in words:
        assert word in str(caught.value)


def test_every_name_is_registered_as_a_function_of_that_name() -> None:
    for name in NAMES:
        assert CORRUPTIONS[name].implementation().__name__ == name


def test_streams_are_philox_and_independent() -> None:
    streams = Streams(seed=5, name="fog", severity=1, indices=[0, 1, 10**12])
    words = streams.words(2, 9)
    key = np.array([streams.key, 10**12], np.uint64)
    counter = np.array([0, 0, 0, 2], np.uint64)
    np.testing.assert_array_equal(words[2], np.random.Philox(key=key, counter=counter).random_raw(9))
    for first in range(8):
        np.testing.assert_array_equal(streams.words(2, 9 - first, first=first), words[:, first:])
    others = [streams.words(3, 9)]
    for change in ({"seed": 6}, {"name": "frost"}, {"severity": 2}):
        settings = {"seed": 5, "name": "fog", "severity": 1, "indices": [0, 1, 10**12]} | change
        others.append(Streams(**settings).words(2, 9))
    everything = np.concatenate([words.ravel(), *(other.ravel() for other in others)])
    assert len(np.unique(everything)) == everything.size


def test_stream_transforms() -> None:
    streams = Streams(seed=0, name="fog", severity=1, indices=range(50))
    uniform = streams.uniform(0, (1000,), low=-2, high=3)
    assert uniform.min() > -2
    assert uniform.max() < 3
    assert abs(uniform.mean() - 0.5) < 5 * 5 / np.sqrt(12 * uniform.size)
    normal = streams.normal(0, (1000,))
    assert abs(normal.mean()) < 5 / np.sqrt(normal.size)
    assert abs(normal.std() - 1) < 5 / np.sqrt(2 * normal.size)
    integers = streams.integers(0, (1000,), 6)
    np.testing.assert_allclose(np.bincount(integers.ravel(), minlength=6) / integers.size, 1 / 6, atol=0.01)


def test_threads_change_nothing_at_224() -> None:
    code = (
        "import hashlib, numpy as np; from ews.corruptions import corrupt;"
        "x = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8);"
        "y = [corrupt(x, name=n, severity=s, seed=0, profile='imagenet') for n, s in"
        " (('elastic_transform', 2), ('snow', 1), ('zoom_blur', 1), ('defocus_blur', 5))];"
        "print(hashlib.sha256(np.stack(y).tobytes()).hexdigest())"
    )
    digests = set()
    for threads in ("1", "2", "3"):
        variables = {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")}
        result = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=True
        )
        digests.add(result.stdout)
    assert len(digests) == 1


def test_frost_reads_the_files_without_running_the_package() -> None:
    code = (
        "import sys, numpy as np; from ews.corruptions import corrupt;"
        "corrupt(np.zeros((1, 32, 32, 3), np.uint8), name='frost', severity=1, seed=0);"
        "assert not {'imagecorruptions', 'numba', 'skimage', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all((frost_folder() / name).is_file() for name in FROST_FILES)


def test_frost_without_photographs_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ews.corruptions.weather.find_spec", lambda name: None)
    with pytest.raises(EwsError, match="pip install --no-deps imagecorruptions-imaug"):
        frost_folder()


def test_frost_without_its_files_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_loader("imagecorruptions", loader=None, is_package=True)
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("ews.corruptions.weather.find_spec", lambda name: spec)
    with pytest.raises(EwsError, match=r"frost1\.png"):
        frost_folder()


@pytest.mark.parametrize(("size", "profile"), [((32, 32), "cifar"), ((64, 64), "tiny"), ((224, 300), "imagenet")])
def test_profile_by_size(size: tuple[int, int], profile: str) -> None:
    assert profile_for(*size) == profile
