"""Turning other arrays and tensors of images into those that corruptions take, as their owner says what they hold."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError, unknown

Range = Literal["0..255", "0..1", "-1..1"]
Layout = Literal["NHWC", "NCHW", "NHW"]
# Lowest and highest value.
RANGES: Mapping[str, tuple[float, float]] = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
# Where the channels stand; None: there are none.
LAYOUTS: Mapping[str, int | None] = {"NHWC": 3, "NCHW": 1, "NHW": None}
# Grey levels by which a value may miss its range: what a normalisation that is undone in 32 bits leaves.
SLACK = 1e-3


class InvalidImages(EwsError, ValueError):
    """Images are not what their owner says; the message names the valid."""


def to_uint8(images: Any, *, range: Range, layout: Layout = "NHWC") -> NDArray[np.uint8]:
    """Return images as :func:`ews.corrupt` and :func:`ews.perturb` take them; nothing about them is guessed.

    Values go to the nearest of the 256 levels, so that 8-bit images that were divided by 255 come back exactly. Grey
    becomes three equal channels.

    Args:
        images: a NumPy array or a torch tensor, on any device, of integers or floating point; N may be 0.
        range: what its values mean: ``"0..255"``, ``"0..1"`` (as ``torchvision.transforms.ToTensor`` gives), or
            ``"-1..1"``. Undo a normalisation by mean and standard deviation first.
        layout: order of its axes: ``"NHWC"``, ``"NCHW"`` (as torch has it), with C 1 or 3; or ``"NHW"``, grey.

    Returns:
        uint8 [N, H, W, 3], a new array.

    Raises:
        ValueError: an argument is unknown, the shape is not that of the layout, or a value is no number or outside the
            range; the message names the valid.
    """
    if range not in RANGES:
        raise InvalidImages(str(unknown("range", range, RANGES)))
    if layout not in LAYOUTS:
        raise InvalidImages(str(unknown("layout", layout, LAYOUTS)))
    values = _array(images)
    axis = LAYOUTS[layout]
    if values.ndim != len(layout) or (axis is not None and values.shape[axis] not in (1, 3)):
        raise InvalidImages(
            f"images of shape {values.shape}: valid for layout {layout} are {len(layout)} axes"
            f"{', with 1 or 3 channels' if axis is not None else ''}. Layouts: {', '.join(LAYOUTS)}."
        )
    last = values[..., np.newaxis] if axis is None else np.moveaxis(values, axis, -1)
    converted = np.empty((*last.shape[:3], 3), np.uint8)
    for number, image in enumerate(last):
        converted[number] = _levels(image, range, number)
    return converted


def _array(images: Any) -> NDArray[Any]:
    if hasattr(images, "detach"):  # a tensor; NumPy has none of its 16-bit floating point
        images = images.detach().cpu()
        images = (images.double() if images.is_floating_point() else images).numpy()
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "iuf":
        kind = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise InvalidImages(f"images of type {kind}: valid is a NumPy array or torch tensor of integers or floats.")
    return images


def _levels(image: NDArray[Any], range: str, number: int) -> NDArray[np.float64]:
    low, high = RANGES[range]
    levels = (image.astype(np.float64) - low) * (255 / (high - low))
    outside = ~((levels >= -SLACK) & (levels <= 255 + SLACK))  # NaN is neither
    if outside.any():
        raise InvalidImages(
            f"image {number} has the value {image[outside][0]}: valid for range {range} are numbers from {low:g} to "
            f"{high:g}. Another range may be meant, {', '.join(RANGES)}, or a normalisation is to be undone first."
        )
    nearest: NDArray[np.float64] = np.clip(np.rint(levels), 0, 255)
    return nearest
