"""Training augmentations; each is a folder behind :class:`ews.augment.augmentation.Augment`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import AugmentationParameters, Crop

if TYPE_CHECKING:
    from ews.augment.augmentation import Augment, Source


def build(parameters: AugmentationParameters, source: Source, crop: Crop) -> Augment:
    """Build an augmentation.

    Args:
        parameters: of one of :data:`ews.augment.augmentation_registry.AUGMENTATIONS`.
        source: the images, the seed, and where and by how many processes batches are made.
        crop: the dataset's; every augmentation begins with it.

    Raises:
        EwsError: the images or the padding do not fit.
    """
    return AUGMENTATIONS.of(parameters).implementation()(source, crop, parameters)
