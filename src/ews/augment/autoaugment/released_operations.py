"""AutoAugment's operations as the authors of EWS released them, on Pillow's images.

Magnitudes are ten equal steps through AutoAugment's ranges (Cubuk et al., CVPR 2019), in float64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

STEPS = 10
"""Magnitudes of an operation, numbered from 0; the learned policies name them by number."""

RANGES: dict[str, tuple[float, float]] = {
    "ShearX": (0, 0.3),
    "ShearY": (0, 0.3),
    "TranslateX": (0, 150 / 331),
    "TranslateY": (0, 150 / 331),
    "Rotate": (0, 30),
    "Color": (0, 0.9),
    "Contrast": (0, 0.9),
    "Sharpness": (0, 0.9),
    "Brightness": (0, 0.9),
    "Posterize": (8, 4),
    "Solarize": (256, 0),
}
"""First and last magnitude: shears as tangents, shifts in parts of the side, rotations in degrees, enhancements as what
is added to or taken from 1, bits that are kept, the threshold from which values are inverted."""

ENHANCEMENTS = {
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Sharpness": ImageEnhance.Sharpness,
    "Brightness": ImageEnhance.Brightness,
}

PLAIN: dict[str, Callable[[Image.Image], Image.Image]] = {
    "AutoContrast": ImageOps.autocontrast,
    "Equalize": ImageOps.equalize,
    "Invert": ImageOps.invert,
}
"""Operations without a magnitude."""


def magnitudes(name: str) -> tuple[float, ...]:
    """Return the ten magnitudes of an operation that has some, from the first; bits as whole numbers."""
    values = np.linspace(*RANGES[name], STEPS)
    return tuple((np.round(values) if name == "Posterize" else values).tolist())


MAGNITUDES = {name: magnitudes(name) for name in RANGES}


@dataclass(frozen=True)
class Operations:
    """The operations under one choice of what comes into view.

    Attributes:
        fill: grey level, 0..255, of pixels from outside the image.
        interpolation: of shears; shifts and rotations take the nearest pixel.
    """

    fill: int
    interpolation: Image.Resampling

    def apply(self, image: Image.Image, name: str, number: int | None, sign: int) -> Image.Image:
        """Apply an operation to an RGB image.

        Args:
            image: left as it is.
            name: as the policies spell it.
            number: of the magnitude; None: the operation has none.
            sign: +1 or -1, the direction of operations that have two.

        Raises:
            KeyError: there is no such operation.
        """
        if number is None:
            return PLAIN[name](image)
        size = MAGNITUDES[name][number]
        if name == "Posterize":
            return ImageOps.posterize(image, int(size))
        if name == "Solarize":
            # A whole value is below a threshold if it is below the next whole one.
            return ImageOps.solarize(image, math.ceil(size))
        if name in ENHANCEMENTS:
            return ENHANCEMENTS[name](image).enhance(1 + sign * size)
        return self._moved(image, name, sign * size)

    def _moved(self, image: Image.Image, name: str, size: float) -> Image.Image:
        colour = (self.fill,) * 3
        if name == "Rotate":
            # Counter-clockwise, about the centre.
            return image.rotate(size, resample=Image.Resampling.NEAREST, fillcolor=colour)
        # Pixel (x, y) is taken from (a x + b y + c, d x + e y + f), of the pixels' centres.
        matrix, interpolation = {
            "ShearX": ((1, size, 0, 0, 1, 0), self.interpolation),
            "ShearY": ((1, 0, 0, size, 1, 0), self.interpolation),
            "TranslateX": ((1, 0, size * image.width, 0, 1, 0), Image.Resampling.NEAREST),
            "TranslateY": ((1, 0, 0, 0, 1, size * image.height), Image.Resampling.NEAREST),
        }[name]
        return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=interpolation, fillcolor=colour)
