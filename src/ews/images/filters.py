"""Linear filters that several corruptions share: Gaussian blur, centre zoom and ImageMagick's motion blur."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import update_wrapper
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Given = ParamSpec("Given")
Result = TypeVar("Result")

# A tap lighter than this moves no 16-bit value; ImageMagick works in 16 bits.
LIGHTEST_TAP = 1e-7
# The longest axis on which a filter acts as a dense matrix; on longer ones the matrix would outgrow the image.
LONGEST_DENSE = 2896
# Bytes that each function that prepares something may hold between calls, whatever the sizes of the images.
KEPT = 2**26


class Kept(Generic[Given, Result]):
    """A function that keeps its latest results, as many as fit into :data:`KEPT` bytes; a larger one is not kept.

    Args:
        function: of hashable arguments; returns an array, a sparse matrix, or tuples of these.
    """

    def __init__(self, function: Callable[Given, Result]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._results: OrderedDict[Hashable, Result] = OrderedDict()
        self._lock = Lock()

    def __call__(self, *arguments: Given.args, **named: Given.kwargs) -> Result:
        """Return the function's result, from an earlier call with the same arguments where it is at hand."""
        key = (arguments, tuple(sorted(named.items())))
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        result = self._function(*arguments, **named)
        with self._lock:
            self._results[key] = result
            while self.held() > KEPT:
                self._results.popitem(last=False)
        return result

    def forget(self) -> None:
        """Drop the results at hand."""
        with self._lock:
            self._results.clear()

    def held(self) -> int:
        """Return the bytes of the results at hand."""
        return sum(map(_bytes, self._results.values()))


def _bytes(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_bytes, value))
    if isinstance(value, sparse.csr_array):
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    assert isinstance(value, np.ndarray)
    return value.nbytes


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


@Kept
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


def sparse_centre_zoom(size: int, factor: float) -> sparse.csr_array:
    """Return :func:`centre_zoom` up to rounding with the two weights of each row only, float64 [size, size].

    Zoomed by SciPy are all ones, which tells the sum of a row's weights (0 where SciPy leaves the axis), and the
    pixels' numbers, which tells where between two pixels a row lies.
    """
    crop = int(np.ceil(size / factor))
    top = (size - crop) // 2
    numbers = np.stack([np.ones(crop), np.arange(crop)], axis=1)
    zoomed = ndimage.zoom(numbers, (factor, 1), order=1)
    trim = (len(zoomed) - size) // 2
    mass, place = zoomed[trim : trim + size].T
    first = np.clip(np.floor(place), 0, max(crop - 2, 0)).astype(np.int32)
    second = np.minimum(first + 1, crop - 1)
    right = np.where(mass > 0, place - first, 0)
    weights = np.stack([mass - right, right], axis=1).ravel()
    columns = (np.stack([first, second], axis=1) + top).ravel()
    return sparse.csr_array((weights, columns, np.arange(size + 1, dtype=np.int32) * 2), shape=(size, size))


def zoom_into_centre(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Zoom planes [N, H, W] into their centre, as the script's ``clipped_zoom``.

    On axes longer than :data:`LONGEST_DENSE` the same weights are applied sparsely, which may round otherwise.
    """
    height, width = values.shape[1:]
    if max(height, width) <= LONGEST_DENSE:
        zoomed: NDArray[np.float64] = centre_zoom(height, factor) @ values @ centre_zoom(width, factor).T
        return zoomed
    rows, columns = (sparse_centre_zoom(size, factor) for size in (height, width))
    return np.stack([(columns @ (rows @ plane).T).T for plane in values])


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
