"""What standard augmentation says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ews.augment.augmentation_specs import AugmentationParameters, AugmentationSpec

if TYPE_CHECKING:
    from ews.augment.augmentation import Source
    from ews.augment.augmentation_specs import Crop
    from ews.augment.standard.standard import Standard


class StandardParameters(AugmentationParameters):
    """None of its own: crop and flip are the dataset's."""


def implementation() -> Callable[[Source, Crop, StandardParameters], Standard]:
    """Return the augmentation."""
    from ews.augment.standard.standard import Standard

    return Standard


SPEC = AugmentationSpec(
    name="standard",
    summary="Crop and flip as the dataset says",
    parameters=StandardParameters,
    implementation=implementation,
)
