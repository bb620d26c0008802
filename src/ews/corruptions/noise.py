"""Noise: Gaussian, shot, impulse and speckle.

All four act on each channel of each pixel by itself, so each is a 256 x 256 matrix of transition
probabilities P(grey level out | grey level in), computed here from the published formula and drawn
from exactly (to 2^-32) with one 32-bit word per value, by Walker's alias method. The result has the
distribution of the published script, clipping and truncation to 8 bits included, at a hundredth of
the cost of a Poisson or normal draw.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr, xlogy

from ews.images.streams import Streams

# Standard deviation, for images in [0, 1].
GAUSSIAN_NOISE = {
    "cifar": (0.04, 0.06, 0.08, 0.09, 0.10),
    "tiny": (0.04, 0.08, 0.12, 0.15, 0.18),
    "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
}
# Photons at full intensity.
SHOT_NOISE = {
    "cifar": (500.0, 250.0, 100.0, 75.0, 50.0),
    "tiny": (250.0, 100.0, 50.0, 30.0, 15.0),
    "imagenet": (60.0, 25.0, 12.0, 5.0, 3.0),
}
# Share of the values replaced by black or white.
IMPULSE_NOISE = {
    "cifar": (0.01, 0.02, 0.03, 0.05, 0.07),
    "tiny": (0.01, 0.02, 0.05, 0.08, 0.14),
    "imagenet": (0.03, 0.06, 0.09, 0.17, 0.27),
}
# Standard deviation relative to the intensity.
SPECKLE_NOISE = {
    "cifar": (0.06, 0.10, 0.12, 0.16, 0.20),
    "tiny": (0.15, 0.20, 0.25, 0.30, 0.35),
    "imagenet": (0.15, 0.20, 0.35, 0.45, 0.60),
}

LEVELS = 256
COLUMN = 2**24  # units of probability in one column of an alias table; a row has 256 columns


def gaussian_noise(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Add normal noise of one standard deviation everywhere."""
    return draw(images, gaussian_transitions, GAUSSIAN_NOISE[profile][severity - 1], streams)


def shot_noise(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Replace each value by a Poisson count with that mean, in units of one photon."""
    return draw(images, shot_transitions, SHOT_NOISE[profile][severity - 1], streams)


def impulse_noise(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Replace a share of the values by black or white, evenly (salt and pepper)."""
    return draw(images, impulse_transitions, IMPULSE_NOISE[profile][severity - 1], streams)


def speckle_noise(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Add normal noise whose standard deviation is proportional to the value."""
    return draw(images, speckle_transitions, SPECKLE_NOISE[profile][severity - 1], streams)


def gaussian_transitions(deviation: float) -> NDArray[np.float64]:
    """Return P(out | in) of ``clip(x + deviation * z)``, z standard normal, float64 [256, 256]."""
    return _normal_transitions(np.full(LEVELS, deviation))


def speckle_transitions(deviation: float) -> NDArray[np.float64]:
    """Return P(out | in) of ``clip(x + x * deviation * z)``, z standard normal, float64 [256, 256]."""
    return _normal_transitions(np.arange(LEVELS) / 255 * deviation)


def shot_transitions(photons: float) -> NDArray[np.float64]:
    """Return P(out | in) of ``clip(Poisson(x * photons) / photons)``, float64 [256, 256]."""
    counts = np.arange(int(np.ceil(photons)))  # more photons than this are white
    mean = (np.arange(LEVELS) / 255 * photons)[:, np.newaxis]
    mass = np.exp(xlogy(counts, mean) - mean - gammaln(counts + 1.0))
    # The truncation of the script, with its floating point.
    level = (np.clip(counts / photons, 0, 1) * 255).astype(np.uint8)
    transitions = np.zeros((LEVELS, LEVELS))
    np.add.at(transitions.T, level, mass.T)
    transitions[:, -1] += 1 - mass.sum(axis=1)
    return transitions


def impulse_transitions(share: float) -> NDArray[np.float64]:
    """Return P(out | in) of salt-and-pepper noise on ``share`` of the values, float64 [256, 256]."""
    transitions = np.eye(LEVELS) * (1 - share)
    transitions[:, [0, -1]] += share / 2
    return transitions


def _normal_transitions(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(out | in) of ``clip(x + deviations[in] * z)`` truncated to 8 bits, float64 [256, 256]."""
    levels = np.arange(LEVELS)
    # Level k holds [k, k + 1) / 255; level 255 all from 1 on, level 0 all below 1/255.
    distance = (levels[np.newaxis, 1:] - levels[:, np.newaxis]) / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        below = ndtr(distance / deviations[:, np.newaxis])
    without = deviations == 0
    below[without] = distance[without] > 0
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def draw(
    images: NDArray[np.uint8],
    transitions: Callable[[float], NDArray[np.float64]],
    constant: float,
    streams: Streams,
) -> NDArray[np.uint8]:
    """Draw each value's successor: a random column, then its owner or its alias.

    Args:
        images: uint8 [N, ...], any number of values per stream.
        transitions: from ``constant`` to P(level out | level in), float64 [256, 256].
        constant: the noise's strength.
        streams: of the N images; uses slot 0.

    Returns:
        uint8, of the images' shape.
    """
    share, alias = _table(transitions, constant)
    values = images.reshape(len(images), -1)
    bits = streams.bits(0, values.shape[1])
    cell = values.astype(np.intp) << 8
    column = bits & np.uint32(LEVELS - 1)
    cell |= column
    own = (bits >> np.uint32(8)) < share[cell]
    return np.where(own, column.astype(np.uint8), alias[cell]).reshape(images.shape)


@lru_cache(maxsize=32)
def _table(
    transitions: Callable[[float], NDArray[np.float64]], constant: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    return alias_table(transitions(constant))


def alias_table(transitions: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return the alias tables of all rows of a transition matrix.

    Args:
        transitions: float64 [R, 256], rows sum to 1.

    Returns:
        share: uint32 [R * 256], how much of each column belongs to its owner, in units of 2^-24.
        alias: uint8 [R * 256], to whom the rest of the column belongs.
    """
    total = COLUMN * LEVELS
    mass = np.rint(transitions * total).astype(np.int64)
    rows = np.arange(len(mass))
    # Rounding leaves a few of 2^32 units over or missing: the likeliest outcome takes them.
    mass[rows, mass.argmax(axis=1)] += total - mass.sum(axis=1)
    share = np.full(mass.shape, COLUMN, np.int64)
    alias = np.tile(np.arange(LEVELS), (len(mass), 1))
    open_ = mass.copy()
    for _ in range(LEVELS):
        # The emptiest column is filled up by the fullest outcome, in all rows at once.
        poor, rich = open_.argmin(axis=1), open_.argmax(axis=1)
        need = COLUMN - open_[rows, poor]
        active = need > 0
        if not active.any():
            break
        where, poor, rich, need = rows[active], poor[active], rich[active], need[active]
        share[where, poor] = open_[where, poor]
        alias[where, poor] = rich
        open_[where, poor] = COLUMN
        open_[where, rich] -= need
    return share.astype(np.uint32).ravel(), alias.astype(np.uint8).ravel()
