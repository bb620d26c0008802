"""How long and how fast a network is trained: the recipe of a dataset and a kind of training."""

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
    schedule: Literal["step", "cosine"] = Field(description="step: times gamma at each milestone; cosine: to zero.")
    milestones: Annotated[tuple[Fraction, ...], Field(strict=False)] = Field(
        description="Of the step schedule: shares of the epochs."
    )
    gamma: Fraction = Field(description="Of the step schedule: factor at each milestone.")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="Epochs of linear warm-up.")
    gradient_clip: Positive | None = Field(description="Largest norm of the network's gradient; null: none.")
    label_smoothing: float = Field(ge=0, lt=1, description="Label smoothing.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(description="auto: bfloat16 autocast on CUDA only.")

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs momentum above 0")
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError("milestones must ascend")
        return self
