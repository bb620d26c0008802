"""The corruptions, in the order of the paper's tables; the last four were held out for validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ews.core.registry import Registry

if TYPE_CHECKING:
    from ews.corruptions.corrupt_images import Corruption


@dataclass(frozen=True)
class Entry:
    """A corruption.

    Attributes:
        name: as command lines, folders and tables spell it.
        implementation: imports and returns the function. The code fingerprint of what is made with it follows the
            import in this function's body.
    """

    name: str
    implementation: Callable[[], Corruption]


def _gaussian_noise() -> Corruption:
    from ews.corruptions.noise import gaussian_noise

    return gaussian_noise


def _shot_noise() -> Corruption:
    from ews.corruptions.noise import shot_noise

    return shot_noise


def _impulse_noise() -> Corruption:
    from ews.corruptions.noise import impulse_noise

    return impulse_noise


def _defocus_blur() -> Corruption:
    from ews.corruptions.blur import defocus_blur

    return defocus_blur


def _glass_blur() -> Corruption:
    from ews.corruptions.blur import glass_blur

    return glass_blur


def _motion_blur() -> Corruption:
    from ews.corruptions.blur import motion_blur

    return motion_blur


def _zoom_blur() -> Corruption:
    from ews.corruptions.blur import zoom_blur

    return zoom_blur


def _snow() -> Corruption:
    from ews.corruptions.weather import snow

    return snow


def _frost() -> Corruption:
    from ews.corruptions.weather import frost

    return frost


def _fog() -> Corruption:
    from ews.corruptions.weather import fog

    return fog


def _brightness() -> Corruption:
    from ews.corruptions.digital import brightness

    return brightness


def _contrast() -> Corruption:
    from ews.corruptions.digital import contrast

    return contrast


def _elastic_transform() -> Corruption:
    from ews.corruptions.elastic import elastic_transform

    return elastic_transform


def _pixelate() -> Corruption:
    from ews.corruptions.digital import pixelate

    return pixelate


def _jpeg_compression() -> Corruption:
    from ews.corruptions.digital import jpeg_compression

    return jpeg_compression


def _speckle_noise() -> Corruption:
    from ews.corruptions.noise import speckle_noise

    return speckle_noise


def _gaussian_blur() -> Corruption:
    from ews.corruptions.blur import gaussian_blur

    return gaussian_blur


def _spatter() -> Corruption:
    from ews.corruptions.spatter import spatter

    return spatter


def _saturate() -> Corruption:
    from ews.corruptions.digital import saturate

    return saturate


CORRUPTIONS = Registry(
    "corruption",
    Entry("gaussian_noise", _gaussian_noise),
    Entry("shot_noise", _shot_noise),
    Entry("impulse_noise", _impulse_noise),
    Entry("defocus_blur", _defocus_blur),
    Entry("glass_blur", _glass_blur),
    Entry("motion_blur", _motion_blur),
    Entry("zoom_blur", _zoom_blur),
    Entry("snow", _snow),
    Entry("frost", _frost),
    Entry("fog", _fog),
    Entry("brightness", _brightness),
    Entry("contrast", _contrast),
    Entry("elastic_transform", _elastic_transform),
    Entry("pixelate", _pixelate),
    Entry("jpeg_compression", _jpeg_compression),
    Entry("speckle_noise", _speckle_noise),
    Entry("gaussian_blur", _gaussian_blur),
    Entry("spatter", _spatter),
    Entry("saturate", _saturate),
)
