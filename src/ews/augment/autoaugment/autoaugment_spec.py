"""What AutoAugment says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.augment.augmentation_specs import AugmentationParameters, AugmentationSpec

if TYPE_CHECKING:
    from ews.augment.augmentation import Source
    from ews.augment.augmentation_specs import Crop
    from ews.augment.autoaugment.autoaugment import AutoAugment


class AutoAugmentParameters(AugmentationParameters):
    """Which policy is used, and how its operations compute."""

    policy: Literal["cifar10", "svhn"] = Field(
        default="cifar10", description="Learned policy; the paper uses CIFAR's for both CIFARs."
    )
    form: Literal["released", "torchvision"] = Field(
        default="released",
        description="Operations as in the authors' code, or torchvision's: shifts cut down to whole pixels, solarizing "
        "from 255 instead of 256, the interpolation in all geometric operations.",
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] = Field(
        default="bicubic", description="Of shears; bicubic as released. Shifts and rotations take the nearest pixel."
    )
    fill: int = Field(
        default=128, ge=0, le=255, description="Grey level of what shears, shifts and rotations bring in; as released."
    )


def implementation() -> Callable[[Source, Crop, AutoAugmentParameters], AutoAugment]:
    """Return the augmentation."""
    from ews.augment.autoaugment.autoaugment import AutoAugment

    return AutoAugment


SPEC = AugmentationSpec(
    name="autoaugment",
    summary="AutoAugment (Cubuk et al. 2019): one of 25 learned sub-policies for each image",
    parameters=AutoAugmentParameters,
    implementation=implementation,
)
