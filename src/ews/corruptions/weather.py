"""Snow, frost and fog.

Constants: ``make_cifar_c.py``, ``make_tinyimagenet_c.py`` and ``make_imagenet_c.py`` in the folder
``ImageNet-C/create_c`` of github.com/hendrycks/robustness.
"""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError
from ews.corruptions.plasma import plasma
from ews.images.enlarging import enlarged, enlarged_part, enlarged_size
from ews.images.filters import Kept, motion_blur, zoom_into_centre
from ews.images.streams import Streams

# Mean and standard deviation of the flakes' noise, zoom factor, threshold, radius and standard
# deviation of their motion blur in pixels, share of the image that is not whitened.
SNOW = {
    "cifar": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "tiny": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    "imagenet": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
}
# Weight of the image, weight of the photograph.
FROST = {
    "cifar": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "tiny": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    "imagenet": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
}
# Factor on the photographs' sides.
FROST_SCALE = {"cifar": 0.2, "tiny": 0.3, "imagenet": 1.0}
# The script draws from the first five of six files; frost6.jpg is never used.
FROST_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
# Bytes of an enlarged photograph; of what would be larger only the part that is seen is computed.
LARGEST_PHOTOGRAPH = 2**26
FROST_PACKAGE = ("imagecorruptions", "imagecorruptions-imaug")
# Weight of the fog, decay of its roughness from one scale to the next finer.
FOG = {
    "cifar": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "tiny": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    "imagenet": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
}


def snow(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Whiten the image and add streaks of falling flakes, once as drawn and once turned by 180 degrees."""
    mean, deviation, zoom, threshold, radius, sigma, kept = SNOW[profile][severity - 1]
    layer = flakes(
        streams, images.shape[1:3], mean=mean, deviation=deviation, zoom=float(zoom), threshold=float(threshold)
    )
    angles = streams.uniform(1, (), low=-135, high=-45)
    return fall(images, motion_blur(layer, radius=int(radius), sigma=sigma, angles=angles), kept=kept)


def flakes(
    streams: Streams, size: tuple[int, ...], *, mean: float, deviation: float, zoom: float, threshold: float
) -> NDArray[np.uint8]:
    """Draw flakes at rest, uint8 [N, H, W, 1]: normal noise, zoomed into, without what lies below the threshold.

    Args:
        streams: of the N images; uses slot 0.
        size: (H, W).
        mean: of the noise, for images in [0, 1], as all that follows but the zoom.
        deviation: standard deviation of the noise.
        zoom: factor, 1 or more.
        threshold: weaker noise is no flake.
    """
    height, width = size
    noise = streams.normal(0, (height, width)) * deviation + mean
    if zoom > 1:
        noise = zoom_into_centre(noise, zoom)
    noise[noise < threshold] = 0
    return (np.clip(noise, 0, 1) * 255).astype(np.uint8)[..., np.newaxis]


def fall(images: NDArray[np.uint8], layer: NDArray[np.uint8], *, kept: float) -> NDArray[np.uint8]:
    """Whiten images [N, H, W, 3] and add flakes [N, H, W, 1], once as they are and once turned by 180 degrees.

    Args:
        images: uint8.
        layer: uint8.
        kept: share of the image that is not whitened.
    """
    count, height, width, _ = images.shape
    fallen = layer / 255 + layer[:, ::-1, ::-1] / 255
    clean = images.astype(np.float32) / np.float32(255)
    grey = cv2.cvtColor(clean.reshape(count * height, width, 3), cv2.COLOR_RGB2GRAY).reshape(count, height, width, 1)
    whitened = kept * clean + (1 - kept) * np.maximum(clean, grey * 1.5 + 0.5)
    return (np.clip(whitened + fallen, 0, 1) * 255).astype(np.uint8)


def frost(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Add a random part of a random photograph of frost."""
    image_weight, frost_weight = FROST[profile][severity - 1]
    height, width = images.shape[1:3]
    chosen = streams.integers(0, (), len(FROST_FILES))
    place = streams.uniform(1, (2,))
    crops = np.empty_like(images)
    for row, (photograph, (down, right)) in enumerate(zip(chosen.tolist(), place, strict=True)):
        frozen = frost_photograph(photograph)
        factor = max(FROST_SCALE[profile], (height + 1) / frozen.shape[0], (width + 1) / frozen.shape[1])
        frozen_height, frozen_width = enlarged_size(frozen, factor)
        top, left = int(down * (frozen_height - height)), int(right * (frozen_width - width))
        if factor > 1 and 3 * frozen_height * frozen_width > LARGEST_PHOTOGRAPH:
            crop = enlarged_part(frozen, factor, top=top, left=left, height=height, width=width)
        else:
            crop = scaled_photograph(photograph, factor)[top : top + height, left : left + width]
        cv2.cvtColor(crop, cv2.COLOR_BGR2RGB, dst=crops[row])
    return np.clip(image_weight * images + frost_weight * crops, 0, 255).astype(np.uint8)


def frost_folder() -> Path:
    """Return the folder of the photographs, found without running the package that ships them.

    Raises:
        EwsError: it is not installed.
    """
    package, distribution = FROST_PACKAGE
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "frost"
        if all((folder / name).is_file() for name in FROST_FILES):
            return folder
    raise EwsError(
        f"frost: the photographs ({', '.join(FROST_FILES)}) are not installed. They ship with the package "
        f"{distribution}: run 'pip install --no-deps {distribution}', or install requirements.lock again."
    )


@Kept
def frost_photograph(number: int) -> NDArray[np.uint8]:
    """Return one of the photographs, 0 to 4, as BGR.

    Raises:
        EwsError: it is not installed, or cannot be read.
    """
    path = frost_folder() / FROST_FILES[number]
    photograph = cv2.imread(str(path))
    if photograph is None:
        raise EwsError(f"{path}: not a readable picture. Install {FROST_PACKAGE[1]} again.")
    return np.asarray(photograph, np.uint8)


@Kept
def scaled_photograph(number: int, factor: float) -> NDArray[np.uint8]:
    """Return one of the photographs as BGR, scaled.

    Raises:
        EwsError: as :func:`frost_photograph`.
    """
    photograph = frost_photograph(number)
    # Bilinear without smoothing, as in the script: small scales keep the crystals' sharp grain.
    return photograph if factor == 1 else enlarged(photograph, factor)


def fog(images: NDArray[np.uint8], *, profile: str, severity: int, streams: Streams) -> NDArray[np.uint8]:
    """Add a fractal cloud and scale back to the image's range."""
    weight, decay = FOG[profile][severity - 1]
    height, width = images.shape[1:3]
    cloud = plasma(streams, size=1 << (max(height, width) - 1).bit_length(), decay=decay, shape=(height, width))
    clean = images / 255
    brightest = clean.max(axis=(1, 2, 3), keepdims=True)
    foggy = clean + weight * cloud[..., np.newaxis]
    return (np.clip(foggy * brightest / (brightest + weight), 0, 1) * 255).astype(np.uint8)
