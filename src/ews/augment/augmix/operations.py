"""AugMix's image operations, without those that the test corruptions contain.

Left out are colour, contrast, brightness and sharpness: AugMix (Hendrycks et al., ICLR 2020, section 3)
excludes what overlaps with the corruptions that it is tested on.

Each operation takes an RGB image, a level in [0, 10] (10 is strongest) and a sign, +1 or -1, which the
geometric ones use as direction. Ranges are those of the paper's CIFAR code, lengths in parts of the image.
"""

from collections.abc import Callable

from PIL import Image, ImageOps

Operation = Callable[[Image.Image, float, int], Image.Image]


def autocontrast(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Stretch each channel to 0..255."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Equalise each channel's histogram."""
    return ImageOps.equalize(image)


def posterize(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Keep the 4 highest bits of each value, fewer at higher levels, at least 1."""
    return ImageOps.posterize(image, max(1, 4 - int(level * 4 / 10)))


def solarize(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Invert values from a threshold on, which falls from 256 to 0 with the level."""
    return ImageOps.solarize(image, 256 - int(level * 256 / 10))


def rotate(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Rotate about the centre by whole degrees, up to 30."""
    return image.rotate(sign * int(level * 30 / 10), resample=Image.Resampling.BILINEAR)


def shear_x(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Shift each row in proportion to its height, by up to 0.3 of it."""
    return _affine(image, (1, sign * level * 0.3 / 10, 0, 0, 1, 0))


def shear_y(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Shift each column in proportion to its distance from the left, by up to 0.3 of it."""
    return _affine(image, (1, 0, 0, sign * level * 0.3 / 10, 1, 0))


def translate_x(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Shift sideways by whole pixels, up to a third of the width."""
    return _affine(image, (1, 0, sign * int(level * (image.width / 3) / 10), 0, 1, 0))


def translate_y(image: Image.Image, level: float, sign: int) -> Image.Image:
    """Shift up or down by whole pixels, up to a third of the height."""
    return _affine(image, (1, 0, 0, 0, 1, sign * int(level * (image.height / 3) / 10)))


OPERATIONS: tuple[Operation, ...] = (
    autocontrast,
    equalize,
    posterize,
    rotate,
    solarize,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)


def _affine(image: Image.Image, matrix: tuple[float, float, float, float, float, float]) -> Image.Image:
    """Take pixel (x, y) from (a x + b y + c, d x + e y + f); what lies outside is black."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)
