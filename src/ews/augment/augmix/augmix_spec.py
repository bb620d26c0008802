"""What AugMix says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ews.augment.augmentation_specs import AugmentationParameters, AugmentationSpec
from ews.core.values import Count, NonNegative, Positive

if TYPE_CHECKING:
    from ews.augment.augmentation import Source
    from ews.augment.augmentation_specs import Crop
    from ews.augment.augmix.augmix import AugMix


class AugMixParameters(AugmentationParameters):
    """The chains of operations, how they are mixed, and the weight of the consistency term."""

    width: Count = Field(default=3, description="Chains that are mixed.")
    depth_min: Count = Field(default=1, description="Shortest chain, operations.")
    depth_max: Count = Field(default=3, description="Longest chain, operations.")
    severity: float = Field(default=3.0, ge=0.1, le=10, description="Largest strength of an operation, 0 to 10.")
    alpha: Positive = Field(
        default=1.0, description="Parameter of the Dirichlet and Beta distributions of the mixing weights."
    )
    jsd_weight: NonNegative = Field(default=12.0, description="Weight of the Jensen-Shannon term over the three views.")

    @model_validator(mode="after")
    def _depths(self) -> AugMixParameters:
        if self.depth_max < self.depth_min:
            raise ValueError(f"depth_max ({self.depth_max}) is below depth_min ({self.depth_min})")
        return self


def implementation() -> Callable[[Source, Crop, AugMixParameters], AugMix]:
    """Return the augmentation."""
    from ews.augment.augmix.augmix import AugMix

    return AugMix


SPEC = AugmentationSpec(
    name="augmix",
    summary="AugMix (Hendrycks et al. 2020), without the operations that overlap with the test corruptions",
    parameters=AugMixParameters,
    implementation=implementation,
)
