"""Parameters that the objectives on adversarial examples share."""

from typing import Literal

from pydantic import Field

from ews.attacks.effort import Effort
from ews.core.values import Count, Level, StepSize
from ews.methods.method_specs import MethodParameters

EIGHT_LEVELS = 8 / 255
TWO_LEVELS = 2 / 255
ATTACKS = (Effort(), Effort("epsilon", "validation_step_size", "validation_steps"))
"""Of :class:`AdversarialParameters`: the attack on training images, and that on validation images."""


class AdversarialParameters(MethodParameters):
    """The attack on the training images, and the one on validation images that selects the best epoch."""

    epsilon: Level = Field(default=EIGHT_LEVELS, description="Largest change of a pixel: in [0, 1], or as 8/255.")
    step_size: StepSize = Field(
        default=TWO_LEVELS, description="Step of the training's attack: above 0, at most 1, or as 2/255."
    )
    steps: Count = Field(
        default=10, description="Steps of the training's attack; each costs a forward and a backward pass."
    )
    attack_mode: Literal["train", "eval"] = Field(
        default="eval",
        description="Whether the attacked network normalises by the batch or by the running statistics.",
    )
    validation_steps: Count = Field(
        default=10, description="Steps of the PGD that selects the best epoch on validation images."
    )
    validation_step_size: StepSize = Field(default=TWO_LEVELS, description="Step of that PGD.")
    validation_images: Count | None = Field(
        default=None, description="On how many validation images, stratified; null: all."
    )
