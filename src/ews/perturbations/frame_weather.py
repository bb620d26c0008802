"""Snow whose direction turns, and daylight that grows.

Constants: ``make_cifar_p.py``, ``make_tinyimagenet_p.py`` and ``make_imagenet_p.py`` in the folder
``ImageNet-P/create_p`` of github.com/hendrycks/robustness.
"""

import numpy as np
from numpy.typing import NDArray

from ews.corruptions.digital import hsv, rgb
from ews.corruptions.weather import fall, flakes
from ews.images.filters import motion_blur
from ews.images.streams import Streams

LENGTH = 31
FRAMES = dict.fromkeys(("cifar", "tiny", "imagenet"), LENGTH)
# Standard deviation of the flakes' noise, zoom factor, radius and standard deviation of their motion in pixels.
SNOW = {"cifar": (0.3, 2, 10, 2.0), "tiny": (0.28, 2, 10, 2.5), "imagenet": (0.3, 3, 14, 4.0)}
# Mean of the noise, threshold, share of the image that is not whitened.
SNOW_MEAN, SNOW_THRESHOLD, SNOW_KEPT = 0.05, 0.5, 0.85
# Degrees: of the first frame, and per frame.
SNOW_START, SNOW_TURN = -150.0, 4.0
# What a frame adds to the value (HSV), for images in [0, 1]; the middle frame is clean.
BRIGHTNESS_STEP = {"cifar": 0.015, "tiny": 0.02, "imagenet": 0.02}


def snow(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Whiten the image and add one layer of flakes, whose streaks turn from frame to frame."""
    deviation, zoom, radius, sigma = SNOW[profile]
    layer = flakes(streams, images.shape[1:3], mean=SNOW_MEAN, deviation=deviation, zoom=zoom, threshold=SNOW_THRESHOLD)
    made = np.empty((len(images), LENGTH, *images.shape[1:]), np.uint8)
    for frame in range(LENGTH):
        angles = np.full(len(images), SNOW_START + SNOW_TURN * frame)
        made[:, frame] = fall(images, motion_blur(layer, radius=radius, sigma=sigma, angles=angles), kept=SNOW_KEPT)
    return made


def brightness(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Raise the value (HSV) from below the image's own to above it, by equal steps."""
    value, saturation, position = hsv(images)
    steps = (np.arange(LENGTH) - LENGTH // 2) * BRIGHTNESS_STEP[profile]
    return np.stack([rgb(np.clip(value + step, 0, 1), saturation, position) for step in steps], axis=1)
