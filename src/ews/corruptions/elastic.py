"""Elastic transform: a random affine map, then a smooth random displacement of each pixel.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness. The 244 is that of the script.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ews.images.filters import LONGEST_DENSE, Kept
from ews.images.streams import Streams

# Where the Gaussian of the displacements ends, in standard deviations.
CUT = 3
# Rows of the smoothing's matrix that are applied at a time where it is too large to be made at once.
ROWS = 1024
# Factor on the smoothed displacement, standard deviation of the smoothing and
# largest displacement of the three points of the affine map, all in pixels.
ELASTIC_TRANSFORM = {
    "cifar": (
        (32 * 0.0, 32 * 0.0, 32 * 0.08),
        (32 * 0.05, 32 * 0.2, 32 * 0.07),
        (32 * 0.08, 32 * 0.06, 32 * 0.06),
        (32 * 0.1, 32 * 0.04, 32 * 0.05),
        (32 * 0.1, 32 * 0.03, 32 * 0.03),
    ),
    "tiny": (
        (64 * 0.0, 64 * 0.0, 64 * 0.08),
        (64 * 0.05, 64 * 0.3, 64 * 0.06),
        (64 * 0.1, 64 * 0.08, 64 * 0.06),
        (64 * 0.1, 64 * 0.03, 64 * 0.03),
        (64 * 0.16, 64 * 0.03, 64 * 0.02),
    ),
    "imagenet": (
        (244 * 2.0, 244 * 0.7, 244 * 0.1),
        (244 * 2.0, 244 * 0.08, 244 * 0.2),
        (244 * 0.05, 244 * 0.01, 244 * 0.02),
        (244 * 0.07, 244 * 0.01, 244 * 0.02),
        (244 * 0.12, 244 * 0.01, 244 * 0.02),
    ),
}


def elastic_transform(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Distort the geometry of each image at random."""
    scale, sigma, jitter = ELASTIC_TRANSFORM[profile][severity - 1]
    height, width = images.shape[1:3]
    warped = _affine(images.astype(np.float32) / np.float32(255), streams.uniform(0, (3, 2), low=-jitter, high=jitter))
    if scale > 0:
        down, right = (
            (_smooth(streams.uniform(slot, (height, width), low=-1, high=1), sigma) * scale).astype(np.float32)
            for slot in (1, 2)
        )
        warped = sample(warped, np.arange(height)[:, np.newaxis] + down, np.arange(width) + right)
    return (np.clip(warped, 0, 1) * 255).astype(np.uint8)


def _affine(images: NDArray[np.float32], jitter: NDArray[np.float64]) -> NDArray[np.float32]:
    """Map three points around the centre to jittered ones, edges mirrored; ``jitter`` is [N, 3, (x, y)]."""
    height, width = images.shape[1:3]
    centre = np.array([width, height], np.float32) // 2
    arm = min(height, width) // 3
    before = np.array([centre + arm, [centre[0] + arm, centre[1] - arm], centre - arm], np.float32)
    warped = np.empty_like(images)
    for row, image in enumerate(images):
        matrix = cv2.getAffineTransform(before, before + jitter[row].astype(np.float32))
        cv2.warpAffine(image, matrix, (width, height), dst=warped[row], borderMode=cv2.BORDER_REFLECT_101)
    return warped


def _smooth(fields: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur fields [N, H, W] with a Gaussian, edges mirrored, cut at 3 sigma."""
    if max(fields.shape[1:]) > LONGEST_DENSE:
        return _smooth_axis(_smooth_axis(fields, sigma).swapaxes(1, 2), sigma).swapaxes(1, 2)
    rows, columns = (axis_smoothing(size, sigma) for size in fields.shape[1:])
    return rows @ fields @ columns.T


def _smooth_axis(fields: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur fields [N, H, W] along H with the matrix of :func:`axis_smoothing`, a part of its rows at a time."""
    size, reach = fields.shape[1], int(CUT * sigma + 0.5)
    smoothed = np.empty_like(fields)
    for first in range(0, size, ROWS):
        end = min(size, first + ROWS)
        # Nothing outside this window reaches the rows, so that its own mirrored edges do not either.
        low, high = max(0, first - reach), min(size, end + reach)
        smoothed[:, first:end] = axis_smoothing(high - low, sigma)[first - low : end - low] @ fields[:, low:high]
    return smoothed


@Kept
def axis_smoothing(size: int, sigma: float) -> NDArray[np.float64]:
    """Return the Gaussian blur of an axis as a matrix, float64 [size, size], from SciPy's own filter."""
    matrix: NDArray[np.float64] = ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0, mode="reflect", truncate=CUT)
    matrix.flags.writeable = False
    return matrix


def sample(
    images: NDArray[np.float32], rows: NDArray[np.floating], columns: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Read images at fractional positions: bilinear, edges mirrored about the pixels' outer sides.

    The same as ``scipy.ndimage.map_coordinates(order=1, mode="reflect")`` on each channel.

    Args:
        images: float32 [N, H, W, C].
        rows: float64 [N, H, W], where to read, in pixels.
        columns: float64 [N, H, W].
    """
    count, height, width, channels = images.shape
    pixels = images.reshape(-1, channels)
    start = (np.arange(count) * (height * width))[:, np.newaxis, np.newaxis]
    top, left = np.floor(rows), np.floor(columns)
    down = (rows - top).astype(np.float32)[..., np.newaxis]
    right = (columns - left).astype(np.float32)[..., np.newaxis]
    row, column = top.astype(np.intp), left.astype(np.intp)
    rows_of = [_mirror(row + step, height) * width + start for step in (0, 1)]
    columns_of = [_mirror(column + step, width) for step in (0, 1)]
    upper_left, upper_right, lower_left, lower_right = (
        pixels.take(start_of_row + place, axis=0) for start_of_row in rows_of for place in columns_of
    )
    upper = upper_left + (upper_right - upper_left) * right
    lower = lower_left + (lower_right - lower_left) * right
    sampled: NDArray[np.float32] = upper + (lower - upper) * down
    return sampled


def _mirror(position: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Fold positions into 0..size-1: (d c b a | a b c d | d c b a)."""
    folded = position % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)
