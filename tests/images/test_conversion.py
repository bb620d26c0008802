"""Arrays and tensors become 8-bit images as their owner says what they hold, and not otherwise."""

import numpy as np
import pytest
import torch

import ews

LEVELS = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), dtype=np.uint8)
LEVELS[0, 0, :3] = [[0, 1, 2], [253, 254, 255], [127, 128, 129]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("values", ["0..1", "-1..1"])
def test_levels_come_back_exactly(dtype: type, values: str) -> None:
    images = LEVELS / 255 if values == "0..1" else LEVELS / 127.5 - 1
    np.testing.assert_array_equal(ews.to_uint8(images.astype(dtype), range=values), LEVELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.uint16])
def test_levels_of_other_types(dtype: type) -> None:
    np.testing.assert_array_equal(ews.to_uint8(LEVELS.astype(dtype), range="0..255"), LEVELS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_tensors_as_torch_has_them(dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(LEVELS).permute(0, 3, 1, 2)
    values = tensor.to(dtype) / (1 if dtype == torch.uint8 else 255)
    made = ews.to_uint8(
        values.to(dtype).requires_grad_(dtype != torch.uint8), range="0..255" if dtype == torch.uint8 else "0..1",
        layout="NCHW",
    )  # fmt: skip
    np.testing.assert_array_equal(made, LEVELS)
    assert made.flags.c_contiguous
    assert ews.corrupt(made, name="fog", severity=1, seed=0).shape == LEVELS.shape


def test_half_precision_tensors_are_rounded() -> None:
    tensor = (torch.from_numpy(LEVELS) / 255).to(torch.bfloat16)
    made = ews.to_uint8(tensor, range="0..1")
    assert np.abs(made.astype(int) - LEVELS).max() <= 1


@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW"])
def test_grey_becomes_three_equal_channels(layout: str) -> None:
    grey = LEVELS[..., 0]
    images = {"NHW": grey, "NHWC": grey[..., None], "NCHW": grey[:, None]}[layout]
    np.testing.assert_array_equal(ews.to_uint8(images, range="0..255", layout=layout), np.stack([grey] * 3, -1))


def test_the_result_is_a_copy_and_may_be_empty() -> None:
    made = ews.to_uint8(LEVELS, range="0..255")
    assert not np.shares_memory(made, LEVELS)
    assert ews.to_uint8(LEVELS[:0], range="0..255").shape == (0, 20, 24, 3)


def test_what_an_undone_normalisation_leaves_is_taken() -> None:
    images = np.full((1, 16, 16, 3), 1 + 1e-6)
    assert (ews.to_uint8(images, range="0..1") == 255).all()


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        (LEVELS, {"range": "0..1"}, "range 0..1 are numbers from 0 to 1"),
        (LEVELS / 255 - 0.5, {"range": "0..1"}, "image 0 has the value -0."),
        (LEVELS * np.where(np.arange(5) == 3, np.nan, 1)[:, None, None, None], {"range": "0..255"}, "image 3 .*nan"),
        (LEVELS + np.float64(np.inf), {"range": "0..255"}, "inf"),
        (LEVELS.astype(np.uint16) * 257, {"range": "0..255"}, "from 0 to 255"),
        (LEVELS, {"range": "0..256"}, "unknown range '0..256'.*Valid: -1..1, 0..1, 0..255"),
        (LEVELS, {"range": "0..255", "layout": "CHW"}, "unknown layout 'CHW'"),
        (LEVELS, {"range": "0..255", "layout": "NCHW"}, "1 or 3 channels"),
        (LEVELS[0], {"range": "0..255"}, "4 axes"),
        (np.zeros((2, 20, 20, 4)), {"range": "0..1"}, "1 or 3 channels"),
        (LEVELS > 5, {"range": "0..1"}, "type bool"),
        (LEVELS.astype(object), {"range": "0..1"}, "type object"),
        (LEVELS.tolist(), {"range": "0..255"}, "type list"),
    ],
)
def test_nothing_is_guessed(images: object, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ews.to_uint8(images, **options)
    assert isinstance(caught.value, ews.EwsError)
