"""How long and how fast a network is trained: the recipe of a dataset and a kind of training."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ews.core.values import Count, Fraction, NonNegative, Positive, Section


class Recipe(Section):
    """Optimiser and schedule of one dataset and kind of training."""

    epochs: Count = Field(description="Passes over the training images.")
    batch_size: Annotated[int, Field(ge=2)] = Field(description="Images per iteration.")
    train_images: Count | None = Field(description="Stratified subset of the training images; null: all.")
    learning_rate: Positive = Field(description="Largest learning rate (SGD).")
    momentum: float = Field(ge=0, lt=1, description="SGD momentum.")
    nesterov: bool = Field(description="Nesterov momentum.")
    weight_decay: NonNegative = Field(description="L2 penalty on all parameters.")
    schedule: Literal["step", "cosine", "linear"] = Field(
        description=(
            "step: times gamma at each milestone; cosine: to zero; linear: constant to the first of two milestones, "
            "linear to gamma times the rate at the second, constant after it."
        )
    )
    milestones: Annotated[tuple[Fraction, ...], Field(strict=False)] = Field(
        description="Of the schedules step and linear: shares of the epochs, ascending; of linear two."
    )
    gamma: Fraction = Field(
        description="Of the step schedule: factor at each milestone; of linear: factor from the second one on."
    )
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="Epochs of linear warm-up.")
    gradient_clip: Positive | None = Field(description="Largest norm of the network's gradient; null: none.")
    label_smoothing: float = Field(ge=0, lt=1, description="Label smoothing.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(description="auto: bfloat16 autocast on CUDA only.")

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs momentum above 0")
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones must ascend, not {list(self.milestones)}")
        if self.schedule == "linear":
            self._check_linear()
        return self

    def _check_linear(self) -> None:
        given = list(self.milestones)
        if len(set(given)) != len(given) or len(given) != 2:
            raise ValueError(
                f"schedule: linear needs two different milestones, where the fall begins and where it ends, not {given}"
            )
        if self.warmup_epochs > given[0] * self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs}: with schedule: linear the warm-up must end before the fall "
                f"begins, after {given[0]} of {self.epochs} epochs; valid: 0 to {math.floor(given[0] * self.epochs)}"
            )
