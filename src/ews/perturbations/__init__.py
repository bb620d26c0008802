"""The ten perturbation sequences of ImageNet-P and CIFAR-10-P (Hendrycks and Dietterich 2019), seeded per image.

:func:`perturb` is the whole interface; ``ews perturb --help`` is the same for files. The stacks are
the frames themselves: the published ImageNet-P stores them as MP4 videos, whose coding is not imitated.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ews.corruptions.profiles import PROFILES
from ews.perturbations import frame_blur, frame_geometry, frame_noise, frame_weather
from ews.perturbations.perturb_images import Perturbation, apply, check_name

__all__ = ["NAMES", "NOISE", "PERTURBATIONS", "PROFILES", "frames", "perturb"]

# In the order of the paper's tables.
PERTURBATIONS: dict[str, Perturbation] = {
    "gaussian_noise": Perturbation(frame_noise.gaussian_noise, frame_noise.FRAMES),
    "shot_noise": Perturbation(frame_noise.shot_noise, frame_noise.FRAMES),
    "motion_blur": Perturbation(frame_blur.motion_blur, frame_blur.MOTION_FRAMES),
    "zoom_blur": Perturbation(frame_blur.zoom_blur, frame_blur.ZOOM_FRAMES, moves=True),
    "snow": Perturbation(frame_weather.snow, frame_weather.FRAMES),
    "brightness": Perturbation(frame_weather.brightness, frame_weather.FRAMES),
    "translate": Perturbation(frame_geometry.translate, frame_geometry.TRANSLATE_FRAMES, moves=True),
    "rotate": Perturbation(frame_geometry.rotate, frame_geometry.FRAMES, moves=True),
    "tilt": Perturbation(frame_geometry.tilt, frame_geometry.FRAMES, moves=True),
    "scale": Perturbation(frame_geometry.scale, frame_geometry.FRAMES, moves=True),
}
NAMES: tuple[str, ...] = tuple(PERTURBATIONS)
# Their frames are independent draws around the first, clean one, so that each is compared with that one.
NOISE: tuple[str, ...] = NAMES[:2]


def frames(name: str, profile: str) -> int:
    """Return how many frames a sequence has.

    Raises:
        ValueError: there is no such perturbation or profile; the message names the valid ones.
    """
    check_name(name, NAMES, profile=profile)
    return PERTURBATIONS[name].frames[profile]


def perturb(
    images: NDArray[np.uint8],
    *,
    name: str,
    seed: int,
    profile: str = "cifar",
    indices: Sequence[int] | NDArray[np.integer] | None = None,
    crop: int | None = None,
) -> NDArray[np.uint8]:
    """Return each image's sequence of perturbed frames.

    The result for an image depends on its pixels and on (seed, name, its index) alone: batches of any size and order
    give the same bytes. Only the noise and the snow are random.

    Args:
        images: uint8 [N, H, W, 3], RGB, both sides at least 16 pixels; N may be 0.
        name: one of :data:`NAMES`.
        seed: any integer; names the random streams.
        profile: whose constants and number of frames: ``"cifar"`` (published for 32x32), ``"tiny"`` (64x64) or
            ``"imagenet"`` (224x224). Other sizes work; lengths in the constants stay in pixels.
        indices: [N] the images' numbers in their set, 0 or more; by default 0..N-1.
        crop: cut every frame to its central square of that side, in pixels, at least 16 and at most H and W;
            perturbations that move the image do so before the cut, so that its surroundings come into view. ImageNet-P
            moves images of 256 pixels and cuts 224. None: no cut, and what comes into view is black.

    Returns:
        uint8 [N, T, H, W, 3] with T = :func:`frames`; or with ``crop`` for H and W.

    Raises:
        ValueError: an argument is not as above; the message names the valid values.
    """
    check_name(name, NAMES, profile=profile)
    return apply(PERTURBATIONS[name], images, name=name, seed=seed, profile=profile, indices=indices, crop=crop)
