"""Linear filters that several corruptions share: Gaussian blur, centre zoom and ImageMagick's motion blur."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# A tap lighter than this moves no 16-bit value; ImageMagick works in 16 bits.
LIGHTEST_TAP = 1e-7


def gaussian(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur along height and width as ``skimage.filters.gaussian`` does: edges repeated, cut at 4 sigma.

    Args:
        values: float64 [N, H, W, C].
        sigma: standard deviation in pixels.
    """
    if int(4 * sigma + 0.5) == 0:  # the kernel is a single tap
        return values
    blurred: NDArray[np.float64] = ndimage.gaussian_filter(values, (0, sigma, sigma, 0), mode="nearest", truncate=4)
    return blurred


@lru_cache(maxsize=256)
def centre_zoom(size: int, factor: float) -> NDArray[np.float64]:
    """Return the zoom into the centre of an axis as a matrix, float64 [size, size].

    The script's ``clipped_zoom``: crop ceil(size / factor) pixels, ``scipy.ndimage.zoom`` of order
    1, trim to ``size``. Zooming the unit vectors keeps SciPy's own grid and edges; in two dimensions
    the same matrix acts on each axis.
    """
    crop = int(np.ceil(size / factor))
    top = (size - crop) // 2
    zoomed = ndimage.zoom(np.eye(crop), (factor, 1), order=1)
    trim = (len(zoomed) - size) // 2
    matrix = np.zeros((size, size))
    matrix[:, top : top + crop] = zoomed[trim : trim + size]
    matrix.flags.writeable = False
    return matrix


def motion_blur(
    images: NDArray[np.uint8], *, radius: int, sigma: float, angles: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Blur each image along a line of its own angle, as ImageMagick's ``MotionBlurImage``.

    A one-sided Gaussian of 2 * radius + 1 taps starts at the pixel and runs along the angle; tap i
    reads the pixel at ceil(i * (cos, sin) - 1/2), edges repeated; the sum is rounded to 8 bits.

    Args:
        images: uint8 [N, H, W, C].
        radius: of the kernel, in pixels.
        sigma: standard deviation of the Gaussian, in pixels.
        angles: float64 [N], in degrees, clockwise from the x axis (y points down).

    Returns:
        uint8 [N, H, W, C].
    """
    count, height, width, channels = images.shape
    taps = np.arange(2 * radius + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    taps = taps[weights > LIGHTEST_TAP]
    radians = np.deg2rad(angles)[:, np.newaxis]
    columns = np.ceil(taps * np.cos(radians) - 0.5).astype(np.int64)
    rows = np.ceil(taps * np.sin(radians) - 0.5).astype(np.int64)
    # One margin for all blocks, whatever their angles: an image's bytes must not depend on its block.
    margin = len(taps)
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge").astype(np.float32)
    padded = padded.reshape(count, height + 2 * margin, (width + 2 * margin) * channels)
    total = np.zeros((count, height, width * channels), np.float32)
    for image in range(count):
        source, target = padded[image], total[image]
        for weight, row, column in zip(weights, rows[image] + margin, columns[image] + margin, strict=False):
            window = source[row : row + height, column * channels : (column + width) * channels]
            cv2.scaleAdd(window, weight, target, target)
    return (total + np.float32(0.5)).astype(np.uint8).reshape(images.shape)
