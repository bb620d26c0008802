"""Movements of the image: to the right, around its centre, out of its plane and towards the viewer.

Constants: ``make_cifar_p.py``, ``make_tinyimagenet_p.py`` and ``make_imagenet_p.py`` in the folder
``ImageNet-P/create_p`` of github.com/hendrycks/robustness. What comes into view is black.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ews.images.streams import Streams

LENGTH = 31
FRAMES = dict.fromkeys(("cifar", "tiny", "imagenet"), LENGTH)
TRANSLATE_FRAMES = {"cifar": 16, "tiny": 31, "imagenet": 41}
# Pixels to the right in the first frame; one more in each that follows.
TRANSLATE_START = {"cifar": -7, "tiny": -15, "imagenet": -20}
# Degrees in the first frame; one more in each that follows.
ROTATE_START = -15
# Degrees about both axes per frame; the middle frame has none.
TILT_STEP = {"cifar": 0.75, "tiny": 1.0, "imagenet": 1.0}
# Per cent: of the first frame, and what each that follows adds.
SCALE = {"cifar": (70.0, 2.0), "tiny": (40.0, 2.5), "imagenet": (40.0, 2.5)}
# The torchvision of the script's time took width / 2 + 1/2 for the centre: half a pixel right of and below it.
OFF_CENTRE = 0.5


def translate(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Move the image to the right by one pixel per frame."""
    width = images.shape[2]
    made = np.zeros((len(images), TRANSLATE_FRAMES[profile], *images.shape[1:]), np.uint8)
    for frame in range(TRANSLATE_FRAMES[profile]):
        right = TRANSLATE_START[profile] + frame
        to, source = slice(max(right, 0), width + min(right, 0)), slice(max(-right, 0), width - max(right, 0))
        made[:, frame, :, to] = images[:, :, source]
    return made


def rotate(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Rotate by one degree per frame, clockwise."""
    return np.stack([affine(images, degrees=ROTATE_START + frame) for frame in range(LENGTH)], axis=1)


def scale(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Enlarge by equal steps, from smaller than the image to larger."""
    start, step = SCALE[profile]
    return np.stack([affine(images, factor=(start + step * frame) / 100) for frame in range(LENGTH)], axis=1)


def tilt(images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
    """Turn the image about its horizontal and its vertical axis by the same angle, seen in perspective."""
    height, width = images.shape[1:3]
    made = np.empty((len(images), LENGTH, *images.shape[1:]), np.uint8)
    for frame in range(LENGTH):
        matrix = homography(height, width, degrees=TILT_STEP[profile] * (frame - LENGTH // 2))
        for row, image in enumerate(images):
            made[row, frame] = cv2.warpPerspective(image, matrix, (width, height))
    return made


def homography(height: int, width: int, *, degrees: float) -> NDArray[np.float64]:
    """Return where pixels (x, y, 1) go in a tilt, float64 [3, 3], up to a factor.

    The camera is as far off as the image's diagonal is long. The script gives the image's points a depth of 1 pixel, so
    that even without a tilt they lie 1 pixel behind that distance and the image shrinks by diagonal / (diagonal + 1).
    """
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    distance = np.hypot(width, height)
    centred = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    about_y = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    points = about_x @ about_y @ centred
    points[2, 2] += distance
    camera = np.array([[distance, 0, width / 2], [0, distance, height / 2], [0, 0, 1]])
    matrix: NDArray[np.float64] = camera @ points
    return matrix


def affine(images: NDArray[np.uint8], *, degrees: float = 0.0, factor: float = 1.0) -> NDArray[np.uint8]:
    """Rotate clockwise and enlarge about a point half a pixel off the centre, bilinear, uint8 [N, H, W, 3].

    Pillow's own resampling, on the inverse map that ``torchvision.transforms.functional.affine`` gave it then.
    """
    height, width = images.shape[1:3]
    x, y = width / 2 + OFF_CENTRE, height / 2 + OFF_CENTRE
    angle = np.deg2rad(degrees)
    cosine, sine = float(np.cos(angle)) / factor, float(np.sin(angle)) / factor
    inverse = (cosine, sine, -cosine * x - sine * y + x, -sine, cosine, sine * x - cosine * y + y)
    made = np.empty_like(images)
    for row, image in enumerate(images):
        moved = Image.fromarray(image).transform(
            (width, height), Image.Transform.AFFINE, inverse, resample=Image.Resampling.BILINEAR
        )
        made[row] = np.asarray(moved)
    return made
