"""What all perturbations share: checking the arguments and running one over a set in blocks of bounded memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import unknown
from ews.corruptions.corrupt_images import SMALLEST_SIDE, InvalidInput, check_images
from ews.corruptions.profiles import PROFILES
from ews.images.streams import Streams

# Elements of frames per block.
BLOCK = 2**20


class Frames(Protocol):
    """Makes the sequences of a block of images."""

    def __call__(self, images: NDArray[np.uint8], *, profile: str, streams: Streams) -> NDArray[np.uint8]:
        """Return uint8 [N, T, H, W, 3] for images [N, H, W, 3]; ``streams`` are those of the N images."""


@dataclass(frozen=True)
class Perturbation:
    """One perturbation.

    Attributes:
        function: makes the frames.
        frames: how many, by profile.
        moves: whether pixels come from elsewhere in the image, so that its surroundings matter.
    """

    function: Frames
    frames: Mapping[str, int]
    moves: bool = False


def check_name(name: str, valid: Collection[str], *, profile: str) -> None:
    """Refuse a perturbation or a profile that does not exist.

    Raises:
        InvalidInput: naming the valid ones.
    """
    if name not in valid:
        raise InvalidInput(str(unknown("perturbation", name, valid)))
    if profile not in PROFILES:
        raise InvalidInput(str(unknown("profile", profile, PROFILES)))


def apply(
    perturbation: Perturbation,
    images: NDArray[np.uint8],
    *,
    name: str,
    seed: int,
    profile: str,
    indices: Sequence[int] | NDArray[np.integer] | None,
    crop: int | None,
) -> NDArray[np.uint8]:
    """Check the arguments of :func:`ews.perturbations.perturb` and make the frames block by block.

    Raises:
        InvalidInput: an argument is not valid.
    """
    numbers = check_images(images, seed=seed, profile=profile, indices=indices)
    count, height, width, channels = images.shape
    window = (slice(None), slice(None)) if crop is None else centre(height, width, crop)
    if not perturbation.moves:
        images = images[:, *window]
    shape = (height, width) if crop is None else (crop, crop)
    length = perturbation.frames[profile]
    made = np.empty((count, length, *shape, channels), np.uint8)
    step = max(1, BLOCK // (length * height * width * channels))
    for start in range(0, count, step):
        block = slice(start, start + step)
        # No severities here; the suffix keeps the streams apart from those of the corruption of that name.
        streams = Streams(seed=seed, name=f"{name}-p", severity=0, indices=numbers[block])
        stack = perturbation.function(np.ascontiguousarray(images[block]), profile=profile, streams=streams)
        made[block] = stack[:, :, *window] if perturbation.moves else stack
    return made


def centre(height: int, width: int, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of the central square, as ``torchvision.transforms.CenterCrop`` places it.

    Raises:
        InvalidInput: the side is no integer from 16 to both of the image's.
    """
    if isinstance(side, bool) or not isinstance(side, int) or not SMALLEST_SIDE <= side <= min(height, width):
        raise InvalidInput(
            f"crop {side!r}: valid is an integer from {SMALLEST_SIDE} to the images' shorter side, "
            f"{min(height, width)}."
        )
    top, left = round((height - side) / 2), round((width - side) / 2)
    return slice(top, top + side), slice(left, left + side)
