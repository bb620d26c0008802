"""Brightness, contrast, saturation, pixelation and JPEG.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ews.images.streams import Streams

# Added to the value (HSV), in [0, 1].
BRIGHTNESS = {
    "cifar": (0.05, 0.1, 0.15, 0.2, 0.3),
    "tiny": (0.1, 0.2, 0.3, 0.4, 0.5),
    "imagenet": (0.1, 0.2, 0.3, 0.4, 0.5),
}
# Factor on the distance to the channel's mean.
CONTRAST = {
    "cifar": (0.75, 0.5, 0.4, 0.3, 0.15),
    "tiny": (0.4, 0.3, 0.2, 0.1, 0.05),
    "imagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
}
# Factor on the saturation (HSV), then what is added to it.
SATURATE = {
    "cifar": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
    "tiny": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    "imagenet": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
}
# Sides of the small image, relative.
PIXELATE = {
    "cifar": (0.95, 0.9, 0.85, 0.75, 0.65),
    "tiny": (0.9, 0.8, 0.7, 0.6, 0.5),
    "imagenet": (0.6, 0.5, 0.4, 0.3, 0.25),
}
# Quality.
JPEG_COMPRESSION = {
    "cifar": (80, 65, 58, 50, 40),
    "tiny": (65, 58, 50, 40, 25),
    "imagenet": (25, 18, 15, 10, 7),
}


def brightness(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Raise the value (HSV)."""
    value, saturation, position = hsv(images)
    value = np.clip(value + BRIGHTNESS[profile][severity - 1], 0, 1)
    return rgb(value, saturation, position)


def saturate(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Scale and raise the saturation (HSV)."""
    factor, offset = SATURATE[profile][severity - 1]
    value, saturation, position = hsv(images)
    saturation = np.clip(saturation * factor + offset, 0, 1)
    return rgb(value, saturation, position)


def hsv(
    images: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return value and saturation [N, H, W, 1], and the hue as each channel's position [N, H, W, 3].

    The position is 0 at the pixel's largest channel and 1 at its smallest; a grey pixel has hue 0,
    which is red, as in ``skimage.color.rgb2hsv``.
    """
    red, green, blue = (images[..., channel : channel + 1] for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue) / 255
    range_ = value - np.minimum(np.minimum(red, green), blue) / 255
    grey = range_ == 0
    # 1 stands for a divisor of 0: a black pixel has saturation 0.
    saturation = range_ / np.where(value == 0, 1, value)
    position = (value - images / 255) / np.where(grey, 1, range_)
    np.copyto(position, np.array([0.0, 1.0, 1.0]), where=grey)
    return value, saturation, position


def rgb(
    value: NDArray[np.float64], saturation: NDArray[np.float64], position: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Turn the result of :func:`hsv` into colours of 8 bits."""
    return (np.clip(value * (1 - saturation * position), 0, 1) * 255).astype(np.uint8)


def contrast(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Pull each channel towards its mean over the image."""
    factor = CONTRAST[profile][severity - 1]
    pixels = images.shape[1] * images.shape[2]
    # Whole numbers add up exactly, in any order.
    means = images.sum(axis=(1, 2), keepdims=True, dtype=np.int64) / (255 * pixels)
    return (np.clip((images / 255 - means) * factor + means, 0, 1) * 255).astype(np.uint8)


def pixelate(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Shrink with a box filter and enlarge again."""
    factor = PIXELATE[profile][severity - 1]
    height, width = images.shape[1:3]
    small = (int(width * factor), int(height * factor))
    corrupted = np.empty_like(images)
    for row, image in enumerate(images):
        shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        corrupted[row] = np.asarray(shrunk.resize((width, height), Image.Resampling.BOX))
    return corrupted


def jpeg_compression(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Encode as JPEG (standard tables, colour at half the resolution) and decode.

    OpenCV's codec is Pillow's, libjpeg-turbo with the same defaults, at a quarter of the cost; tests compare them.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_COMPRESSION[profile][severity - 1]]
    corrupted = np.empty_like(images)
    for row, image in enumerate(images):
        _, file = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
        corrupted[row] = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1]
    return corrupted
