"""What MixACM says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from ews.attacks.effort import Effort
from ews.core.values import Count, Level, NonNegative, Positive, StepSize
from ews.methods.ews.ews_spec import EwsParameters
from ews.methods.method_specs import MethodParameters, MethodSpec, Teacher, TeacherRole

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.mixacm.mixacm import Mixacm


class MixacmParameters(MethodParameters):
    """The mixtures, the weights of the three terms, and the attack that selects the best epoch."""

    mixup: NonNegative = Field(
        default=1.0, description="alpha of Beta(alpha, alpha), from which mixtures are drawn; 0: none."
    )
    soft_weight: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the soft labels; mixup's cross-entropy has the rest."
    )
    temperature: Positive = Field(default=4.0, description="Temperature of the soft labels.")
    acm_weight: NonNegative = Field(default=50.0, description="Weight of the sum of the channel maps' distances.")
    stages: Annotated[tuple[Annotated[int, Field(le=-1)], ...], Field(min_length=1, strict=False)] = Field(
        default=(-3, -2, -1),
        description="At whose ends channel maps are compared, counted from the last, -1; ascending.",
    )
    validation_epsilon: Level = Field(
        default=8 / 255, description="Of the PGD that selects the best epoch: in [0, 1], or as 8/255."
    )
    validation_steps: Count = Field(default=10, description="Steps of that PGD on validation images.")
    validation_step_size: StepSize = Field(default=2 / 255, description="Step of that PGD.")
    validation_images: Count | None = Field(
        default=None, description="On how many validation images, stratified; null: all."
    )

    @field_validator("stages")
    @classmethod
    def _ascending(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        if list(stages) != sorted(set(stages)):
            raise ValueError("stages must ascend, each once, as in [-3, -2, -1]")
        return stages


def conflicts(parameters: Mapping[str, MethodParameters]) -> str | None:
    """Refuse subnets that are distilled on labels."""
    ews = parameters.get("ews")
    if isinstance(ews, EwsParameters) and ews.distillation == "ce":
        return (
            "methods.ews.distillation = 'ce': a mixture of two images has no single label on which a subnet's "
            "cross-entropy could be taken. Use kl, which needs none"
        )
    return None


def stages(parameters: MixacmParameters) -> int:
    """Return how many of their last stages student and teacher must have."""
    return -parameters.stages[0]


def implementation() -> Callable[[Context, MixacmParameters], Mixacm]:
    """Return the component."""
    from ews.methods.mixacm.mixacm import Mixacm

    return Mixacm


SPEC = MethodSpec(
    name="mixacm",
    summary="MixACM (Awais et al. 2021): robustness from a robust teacher, without adversarial examples",
    kind="objective",
    blocks=True,
    recipe="adversarial",
    teachers=(TeacherRole("robust", "An adversarially trained network.", Teacher(method="at", weights="best")),),
    conflicts=conflicts,
    stages=stages,
    attacks=(Effort("validation_epsilon", "validation_step_size", "validation_steps"),),
    parameters=MixacmParameters,
    implementation=implementation,
)
