"""Noise: the clean image, then independent draws of Gaussian or shot noise of one strength.

Constants: ``make_cifar_p.py``, ``make_tinyimagenet_p.py`` and ``make_imagenet_p.py`` in the folder
``ImageNet-P/create_p`` of github.com/hendrycks/robustness, the first of the three strengths that stand there: the one
that the published sets without a number in their name have.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ews.corruptions.noise import draw, gaussian_transitions, shot_transitions
from ews.images.streams import Streams

NOISY = 30
FRAMES = dict.fromkeys(("cifar", "tiny", "imagenet"), 1 + NOISY)
# Standard deviation, for images in [0, 1].
GAUSSIAN_NOISE = {"cifar": 0.02, "tiny": 0.025, "imagenet": 0.03}
# Photons at full intensity.
SHOT_NOISE = {"cifar": 700.0, "tiny": 500.0, "imagenet": 300.0}


def gaussian_noise(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Add normal noise of one standard deviation to each frame but the first."""
    return _noisy(images, gaussian_transitions, GAUSSIAN_NOISE[profile], streams)


def shot_noise(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Replace each value by a Poisson count with that mean, in units of one photon, in each frame but the first."""
    return _noisy(images, shot_transitions, SHOT_NOISE[profile], streams)


def _noisy(
    images: NDArray[np.uint8],
    transitions: Callable[[float], NDArray[np.float64]],
    constant: float,
    streams: Streams,
) -> NDArray[np.uint8]:
    still = np.repeat(images[:, np.newaxis], NOISY, axis=1)
    return np.concatenate([images[:, np.newaxis], draw(still, transitions, constant, streams)], axis=1)
