"""A part of an enlarged picture without the whole: to the bit what ``cv2.resize`` makes of it, in bounded memory."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Of OpenCV's bilinear interpolation of uint8: weights of 11 bits, in two sums that are cut in between.
BITS = 11
# Values of a band of rows that are computed at once.
BAND = 2**18


def enlarged_size(picture: NDArray[np.uint8], factor: float) -> tuple[int, int]:
    """Return height and width of a picture [H, W, 3] that is enlarged, as OpenCV rounds them."""
    height, width = picture.shape[:2]
    return round(height * factor), round(width * factor)


def enlarged(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return a picture [H, W, 3], enlarged or made smaller, bilinear, without smoothing."""
    return np.asarray(cv2.resize(picture, (0, 0), fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)


def enlarged_part(
    picture: NDArray[np.uint8], factor: float, *, top: int, left: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Return a part of :func:`enlarged`, without what lies beside it.

    Follows OpenCV's ``modules/imgproc/src/resize.cpp``: places as float32; at the left and right edge the outermost
    pixel alone, at the upper and lower one the outermost row twice.

    Args:
        picture: uint8 [H, W, 3].
        factor: on its sides, more than 1.
        top: first row, of the enlarged picture.
        left: first column.
        height: of the part.
        width: likewise.
    """
    if enlarged_size(picture, factor) == picture.shape[:2]:  # which OpenCV copies
        return picture[top : top + height, left : left + width]
    columns, right = _places(left, width, factor)
    right[(columns < 0) | (columns >= picture.shape[1] - 1)] = 0
    first, second = _clipped(columns, picture.shape[1])
    weights = [one[:, np.newaxis] for one in _weights(right)]
    part = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND // (3 * max(width, picture.shape[1])))
    for start in range(0, height, step):
        rows, below = _places(top + start, min(step, height - start), factor)
        total: NDArray[np.int32] | int = 0
        for index, share in zip(_clipped(rows, picture.shape[0]), _weights(below), strict=True):
            source = picture[index].astype(np.int32)
            across = source[:, first] * weights[0] + source[:, second] * weights[1]
            total = total + (share[:, np.newaxis, np.newaxis] * (across >> 4) >> 16)
        part[start : start + step] = (total + 2) >> 2
    return part


def _places(start: int, count: int, factor: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return between which pixels, numbers of the first, each of the enlarged lies, and how far from the first."""
    place = ((np.arange(start, start + count) + 0.5) * (1 / factor) - 0.5).astype(np.float32)
    before = np.floor(place).astype(np.int64)
    return before, place - before.astype(np.float32)


def _clipped(before: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.clip(before, 0, size - 1), np.clip(before + 1, 0, size - 1)


def _weights(second: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the whole-number weights of the two pixels, int32."""
    one = np.float32(2**BITS)
    return np.rint((np.float32(1) - second) * one).astype(np.int32), np.rint(second * one).astype(np.int32)
