"""The plasma fractal of fog: a large square is computed, since all of it counts, but never held as a whole."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ews.images.streams import Streams

ROUGHNESS = 100.0
# Points a side of a square that is held as a whole; finer grids are computed in bands of rows.
WHOLE = 512
# Values of a band.
BAND = 2**19

# Noise for rows of one of a level's three sets of points: (side, set, first row, end) -> [N, end - first, side].
Draw = Callable[[int, int, int, int], NDArray[np.float64]]


def plasma(streams: Streams, *, size: int, decay: float, shape: tuple[int, int] | None = None) -> NDArray[np.float64]:
    """Return the upper left corners of periodic plasma fractals by the diamond-square algorithm.

    The fractal is a square, scaled to [0, 1] over all of it, whatever is asked for of it. The values are the same
    wherever it is computed as a whole and where in bands.

    Args:
        streams: of the N images; uses slot 0.
        size: side of the square in pixels, a power of two.
        decay: by which the roughness is divided from one scale to the next finer.
        shape: (H, W) of the corner; by default the whole square.

    Returns:
        float64 [N, H, W] in [0, 1].
    """
    height, width = shape or (size, size)
    whole = min(size, WHOLE)
    heights = _whole(streams, whole, decay, rough=ROUGHNESS)
    if whole == size:
        lowest, highest = heights.min(axis=(1, 2), keepdims=True), heights.max(axis=(1, 2), keepdims=True)
        corner = heights[:, :height, :width]
    else:
        corner, lowest, highest = _in_bands(streams, heights, decay, size=size, shape=(height, width))
    corner = corner - lowest
    scaled: NDArray[np.float64] = corner / (highest - lowest)
    return scaled


def _middle(total: NDArray[np.float64], wobble: NDArray[np.float64], rough: float) -> NDArray[np.float64]:
    """Return the mean of four points and a draw; the script multiplies one from (-rough, rough) by rough once more."""
    return total / 4 + wobble * rough**2


def _whole(streams: Streams, size: int, decay: float, *, rough: float) -> NDArray[np.float64]:
    """Return the coarsest ``size`` x ``size`` points of a fractal, float64 [N, size, size], not scaled."""
    heights = np.zeros((len(streams), size, size))
    noise = streams.uniform(0, (size * size,), low=-1, high=1)
    used = 0
    step = size

    def middle(total: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal used
        points = total.shape[1] * total.shape[2]
        wobble = noise[:, used : used + points].reshape(total.shape)
        used += points
        return _middle(total, wobble, rough)

    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, half::step] = middle(pairs + np.roll(pairs, -1, axis=2))
        centres = heights[:, half::step, half::step]
        across = centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        heights[:, ::step, half::step] = middle(across)
        along = centres + np.roll(centres, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, ::step] = middle(along)
        step, rough = half, rough / decay
    return heights


def _in_bands(
    streams: Streams, coarse: NDArray[np.float64], decay: float, *, size: int, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the corner [N, H, W] of a fractal, not scaled, and the least and largest value of all of it [N, 1, 1].

    Args:
        streams: of the N images.
        coarse: its coarsest points, float64 [N, C, C].
        decay: see :func:`plasma`.
        size: its side.
        shape: (H, W).
    """
    height, width = shape
    corner = np.empty((len(streams), height, width))
    lowest, highest = np.full((len(streams), 1, 1), np.inf), np.full((len(streams), 1, 1), -np.inf)

    def draw(side: int, kind: int, first: int, end: int) -> NDArray[np.float64]:
        # Before this level come side^2 - 1 draws, in it those of its centres, then of the two kinds of edges.
        start = (kind + 1) * side**2 - 1 + first * side
        rows = streams.uniform(0, ((end - first) * side,), low=-1, high=1, first=start)
        return rows.reshape(len(streams), end - first, side)

    step = max(2, BAND // (len(streams) * size) // 2 * 2)
    for first in range(0, size, step):
        band = _rows(coarse, draw, decay, size, first, min(size, first + step))
        np.minimum(lowest, band.min(axis=(1, 2), keepdims=True), out=lowest)
        np.maximum(highest, band.max(axis=(1, 2), keepdims=True), out=highest)
        if first < height:
            corner[:, first : first + step] = band[:, : height - first, :width]
    return corner, lowest, highest


def _rows(
    coarse: NDArray[np.float64], draw: Draw, decay: float, size: int, first: int, end: int
) -> NDArray[np.float64]:
    """Return rows of the coarsest ``size`` x ``size`` points, float64 [N, end - first, size].

    Args:
        coarse: the coarsest points, from which finer ones are made, float64 [N, C, C].
        draw: gives the noise.
        decay: see :func:`plasma`.
        size: points a side.
        first: row; may be negative, since the fractal is periodic.
        end: row after the last.
    """
    if size == coarse.shape[1]:
        return coarse.take(np.arange(first, end), axis=1, mode="wrap")
    side = size // 2
    rough = ROUGHNESS
    for _ in range(side.bit_length() - 1):
        rough /= decay
    # Pairs of rows, of which the first has corners and the second centres; a centre needs the corners below it, an edge
    # between corners the centres above.
    top, bottom = first // 2, -(-end // 2)
    corners = _rows(coarse, draw, decay, side, top - 1, bottom + 1)
    pairs = corners[:, :-1] + corners[:, 1:]
    centres = _middle(pairs + np.roll(pairs, -1, axis=2), _wrapped(draw, side, 0, top - 1, bottom), rough)
    inner, below = corners[:, 1:-1], corners[:, 2:]
    above, own = centres[:, :-1], centres[:, 1:]
    rows = np.empty((len(corners), 2 * (bottom - top), size))
    rows[:, ::2, ::2] = inner
    rows[:, 1::2, 1::2] = own
    across = own + above + inner + np.roll(inner, -1, axis=2)
    rows[:, ::2, 1::2] = _middle(across, _wrapped(draw, side, 1, top, bottom), rough)
    along = own + np.roll(own, 1, axis=2) + inner + below
    rows[:, 1::2, ::2] = _middle(along, _wrapped(draw, side, 2, top, bottom), rough)
    return rows[:, first - 2 * top : end - 2 * top]


def _wrapped(draw: Draw, side: int, kind: int, first: int, end: int) -> NDArray[np.float64]:
    """Return the noise of rows that may begin above the first one or end below the last."""
    parts = []
    while first < end:
        row = first % side
        last = min(side, row + end - first)
        parts.append(draw(side, kind, row, last))
        first += last - row
    return np.concatenate(parts, axis=1)
