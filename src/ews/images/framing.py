"""Resizing and cropping pictures as torchvision does it to Pillow images, before they are corrupted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ews.core.errors import EwsError
from ews.images.pictures import MOST_PIXELS, BadPicture


@dataclass(frozen=True)
class Framing:
    """How pictures are brought to a size.

    Attributes:
        resize: pixels of the shorter side; None: as it is. ``torchvision.transforms.Resize(resize)`` of a Pillow image:
            bilinear, anti-aliased, the longer side cut to whole pixels.
        crop: pixels of both sides of the square about the centre; None: all. ``torchvision.transforms.CenterCrop``.

    Raises:
        EwsError: a number is not positive, or ``crop`` is larger than ``resize``.
    """

    resize: int | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value is not None and value < 1:
                raise EwsError(f"{name} {value}: valid is 1 pixel or more.")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            raise EwsError(f"crop {self.crop}: valid is up to resize, {self.resize}, the pictures' shorter side.")

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture, uint8 [H, W, 3], in its new size.

        Raises:
            BadPicture: it is smaller than the crop, or would become too large.
        """
        if self.resize is not None:
            pixels = _resized(pixels, self.resize)
        return pixels if self.crop is None else _cropped(pixels, self.crop)


def _resized(pixels: NDArray[np.uint8], shorter: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    longer = int(shorter * max(height, width) / min(height, width))
    if shorter * longer > MOST_PIXELS:
        raise BadPicture(f"{width} x {height} pixels: resized, it has more than {MOST_PIXELS:,} pixels")
    size = (shorter, longer) if width <= height else (longer, shorter)
    if size == (width, height):
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _cropped(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        raise BadPicture(f"{width} x {height} pixels: smaller than the crop of {side}; resize it first")
    top, left = round((height - side) / 2), round((width - side) / 2)
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
