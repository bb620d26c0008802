"""Spatter: drops of water (severities 1 to 3) or splashes of mud (4 and 5) on the lens.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ews.images.filters import gaussian
from ews.images.streams import Streams

# Mean and standard deviation of the liquid's noise, standard deviation of its blur in pixels,
# threshold, strength (water) or standard deviation of a second blur (mud), 1 for mud.
SPATTER = {
    "cifar": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
    "tiny": (
        (0.62, 0.1, 0.7, 0.7, 0.6, 0),
        (0.65, 0.1, 0.8, 0.7, 0.6, 0),
        (0.65, 0.3, 1, 0.69, 0.6, 0),
        (0.65, 0.1, 0.7, 0.68, 0.6, 1),
        (0.65, 0.1, 0.5, 0.67, 0.6, 1),
    ),
    "imagenet": (
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ),
}
PALE_TURQUOISE = np.array([175, 238, 238], np.float32) / np.float32(255)
MUD_BROWN = np.array([63, 42, 20], np.float32) / np.float32(255)
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def spatter(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Splash water or mud on the image."""
    mean, deviation, sigma, threshold, strength, mud = SPATTER[profile][severity - 1]
    liquid = streams.normal(0, images.shape[1:3]) * deviation + mean
    liquid = gaussian(liquid[..., np.newaxis], sigma)
    liquid[liquid < threshold] = 0
    clean = images.astype(np.float32) / np.float32(255)
    if mud:
        cover = gaussian((liquid > threshold).astype(np.float64), strength).astype(np.float32)
        cover[cover < 0.8] = 0
        return (np.clip(clean * (1 - cover) + MUD_BROWN * cover, 0, 1) * 255).astype(np.uint8)
    shine = np.stack([_shine(layer) for layer in (liquid[..., 0] * 255).astype(np.int64).astype(np.uint8)])
    return (np.clip(clean + strength * shine[..., np.newaxis] * PALE_TURQUOISE, 0, 1) * 255).astype(np.uint8)


def _shine(liquid: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the light that drops of water scatter, float32 [H, W] in [0, 1].

    Args:
        liquid: uint8 [H, W], thickness; 0 where it is dry.
    """
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    embossed = cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, EMBOSS)
    shine = liquid.astype(np.float32) * cv2.blur(embossed, (3, 3)).astype(np.float32)
    # The script divides by zero where no drop shines, which leaves a black image; here it stays clean.
    shine /= max(shine.max(), np.float32(1e-6))
    return shine
