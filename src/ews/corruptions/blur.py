"""Blur: defocus, glass, motion, zoom and Gaussian.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ews.images.filters import Kept, centre_zoom, gaussian, sparse_centre_zoom
from ews.images.filters import motion_blur as move
from ews.images.streams import Streams

# Radius of the disk in pixels, standard deviation of its anti-aliasing.
DEFOCUS_BLUR = {
    "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "tiny": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
}
# Standard deviation of the blur in pixels, largest displacement in pixels, passes.
GLASS_BLUR = {
    "cifar": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "tiny": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
}
# Radius and standard deviation of the one-sided Gaussian, in pixels.
MOTION_BLUR = {
    "cifar": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "tiny": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "imagenet": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
}
# End (exclusive) and step of the zoom factors, from 1.
ZOOM_BLUR = {
    "cifar": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "tiny": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
}
# Standard deviation in pixels.
GAUSSIAN_BLUR = {
    "cifar": (0.4, 0.6, 0.7, 0.8, 1.0),
    "tiny": (0.5, 0.75, 1.0, 1.25, 1.5),
    "imagenet": (1.0, 2.0, 3.0, 4.0, 6.0),
}

# Grey levels. The script sums zooms in float32 and truncates; flat regions must keep their level here too.
TIE = 1e-4
# Bytes of a zoom blur as one matrix: the quicker way for a set of small images. Larger ones are blurred in strips.
LARGEST_OPERATOR = 2**23
# Values of a strip that all zooms hold together: half a MB of float64.
STRIP = 2**16


def gaussian_blur(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Blur with a Gaussian."""
    blurred = gaussian(images / 255, GAUSSIAN_BLUR[profile][severity - 1])
    return (np.clip(blurred, 0, 1) * 255).astype(np.uint8)


def defocus_blur(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Blur with a disk, edges mirrored."""
    kernel = disk(*DEFOCUS_BLUR[profile][severity - 1])
    blurred = np.stack([cv2.filter2D(image, -1, kernel) for image in images / 255])
    return (np.clip(blurred, 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=32)
def disk(radius: float, alias_blur: float) -> NDArray[np.float32]:
    """Return the anti-aliased disk of the script, float32, odd sides, without its border of zeros.

    Args:
        radius: in pixels.
        alias_blur: standard deviation of the anti-aliasing, in pixels.
    """
    reach = 8 if radius <= 8 else int(radius)
    side = 3 if radius <= 8 else 5
    grid = np.arange(-reach, reach + 1)
    kernel = (grid[:, np.newaxis] ** 2 + grid**2 <= radius**2).astype(np.float32)
    kernel /= kernel.sum()
    smooth = np.asarray(cv2.GaussianBlur(kernel, ksize=(side, side), sigmaX=alias_blur), np.float32)
    half = int(np.abs(grid[smooth.any(axis=0)]).max())
    cut = slice(reach - half, reach + half + 1)
    return np.ascontiguousarray(smooth[cut, cut])


def motion_blur(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Blur along a line at a random angle of -45 to 45 degrees."""
    radius, sigma = MOTION_BLUR[profile][severity - 1]
    angles = streams.uniform(0, (), low=-45, high=45)
    return move(images, radius=int(radius), sigma=sigma, angles=angles)


def zoom_blur(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Average an image with a series of zooms into its centre."""
    count, height, width, channels = images.shape
    end, step = ZOOM_BLUR[profile][severity - 1]
    if _operator_bytes(height, width, end, step) > LARGEST_OPERATOR:
        return np.stack([_zoom_in_strips(image, end, step) for image in images])
    operator = zoom_operator(height, width, end, step)
    pixels = np.moveaxis(images, 0, 2).reshape(height * width, count * channels).astype(np.float64)
    blurred = np.clip(operator @ pixels + TIE, 0, 255).astype(np.uint8)
    return np.moveaxis(blurred.reshape(height, width, count, channels), 2, 0)


def _operator_bytes(height: int, width: int, end: float, step: float) -> int:
    """Return the most bytes that :func:`zoom_operator` can take: four weights for each zoom and pixel."""
    return height * width * (4 * len(np.arange(1, end, step)) + 1) * 12


@Kept
def zoom_operator(height: int, width: int, end: float, step: float) -> sparse.csr_array:
    """Return the mean of the identity and all zooms on flattened pixels, float64 [H * W, H * W]."""
    factors = np.arange(1, end, step)
    total = sparse.eye_array(height * width, format="csr")
    for factor in factors:
        rows = sparse.csr_array(centre_zoom(height, float(factor)))
        columns = sparse.csr_array(centre_zoom(width, float(factor)))
        total = total + sparse.kron(rows, columns, format="csr")
    return sparse.csr_array(total / (len(factors) + 1))


def _zoom_in_strips(image: NDArray[np.uint8], end: float, step: float) -> NDArray[np.uint8]:
    """Blur one image [H, W, C] by zooming its axes one after the other, a strip of columns at a time."""
    height, width, channels = image.shape
    rows, strips = zoom_axes(height, width, end, step)
    zooms = rows.shape[1] // height
    # Columns first: sparse matrices act on the leading axis.
    turned = np.ascontiguousarray(image.transpose(1, 0, 2)).reshape(width, height * channels).astype(np.float64)
    blurred = np.empty_like(image)
    start = 0
    for strip in strips:
        some = strip.shape[0] // zooms
        zoomed = (strip @ turned).reshape(zooms, some, height, channels).transpose(0, 2, 1, 3)
        mean = rows @ zoomed.reshape(zooms * height, some * channels)
        blurred[:, start : start + some] = np.clip(mean + TIE, 0, 255).reshape(height, some, channels)
        start += some
    return blurred


@Kept
def zoom_axes(
    height: int, width: int, end: float, step: float
) -> tuple[sparse.csr_array, tuple[sparse.csr_array, ...]]:
    """Return the identity and all zooms, F in number, of the two axes.

    Returns:
        - float64 [H, F * H], of the rows: adds them up and divides by F.
        - float64 [F * S, W] for each strip of S columns, the last one narrower.
    """
    factors = (1.0, *np.arange(1, end, step).tolist())
    rows = sparse.hstack([sparse_centre_zoom(height, factor) for factor in factors], format="csr") / len(factors)
    columns = [sparse_centre_zoom(width, factor) for factor in factors]
    side = max(1, STRIP // (len(factors) * height * 3))
    strips = [
        sparse.vstack([axis[start : start + side] for axis in columns], format="csr") for start in range(0, width, side)
    ]
    return sparse.csr_array(rows), tuple(map(sparse.csr_array, strips))


def glass_blur(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Blur, scatter the pixels among their neighbours, blur again."""
    sigma, reach, passes = GLASS_BLUR[profile][severity - 1]
    height, width, channels = images.shape[1:]
    blurred = (gaussian(images / 255, sigma) * 255).astype(np.uint8)
    sources = scatter(streams, 0, height, width, int(reach))
    for slot in range(1, int(passes)):
        sources = sources[scatter(streams, slot, height, width, int(reach))]
    scattered = blurred.reshape(-1, channels)[sources].reshape(images.shape)
    return (np.clip(gaussian(scattered / 255, sigma), 0, 1) * 255).astype(np.uint8)


def scatter(streams: Streams, slot: int, height: int, width: int, reach: int) -> NDArray[np.intp]:
    """Return where each pixel's value comes from in one pass of the glass, int [N * H * W] positions in the block.

    The script visits the pixels from the lower right corner and means to swap each with a random one
    up to ``reach`` away. But it swaps two *views* of one array, which copies the neighbour's present
    value and leaves the neighbour as it is. All pixels are moved at once here: where the neighbour
    was visited before, its own source is taken, followed to the end by pointer doubling.
    """
    count, size = len(streams), height * width
    inner = (slice(None), slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    visited = np.zeros((count, height, width), bool)
    visited[inner] = True
    own = np.arange(count * size).reshape(count, height, width)
    source = own.copy()
    down, right = np.divmod(streams.integers(slot, visited[0][inner[1:]].shape, 4 * reach**2), 2 * reach)
    source[inner] += (down - reach) * width + (right - reach)
    pending = (source > own).ravel()
    origin = source.ravel()
    pending &= visited.ravel()[origin]
    todo = np.flatnonzero(pending)
    while len(todo):
        neighbour = origin[todo]
        origin[todo], still = origin[neighbour], pending[neighbour]
        pending[todo] = still
        todo = todo[still]
    return origin
