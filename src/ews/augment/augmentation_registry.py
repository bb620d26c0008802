"""The training augmentations."""

from typing import Any, TypeVar

from ews.augment.augmentation_specs import AugmentationParameters, AugmentationSpec
from ews.augment.augmix.augmix_spec import SPEC as AUGMIX
from ews.augment.autoaugment.autoaugment_spec import SPEC as AUTOAUGMENT
from ews.augment.standard.standard_spec import SPEC as STANDARD
from ews.core.registry import DescribedRegistry

P = TypeVar("P", bound=AugmentationParameters)


class Augmentations(DescribedRegistry[AugmentationSpec[Any]]):
    """Augmentations by name, or by the type of their parameters."""

    def of(self, parameters: P) -> AugmentationSpec[P]:
        """Return the augmentation that takes parameters of this type.

        Raises:
            EwsError: none does.
        """
        return self.by_type(parameters)


AUGMENTATIONS = Augmentations(
    "augmentation",
    STANDARD,
    AUTOAUGMENT,
    AUGMIX,
)
