"""What enhancing weak subnets says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ews.core.values import Count, Decay, Fraction, NonNegative, Positive, one_of
from ews.methods.method_specs import MethodParameters, MethodSpec
from ews.subnets.search.search_registry import SEARCHES

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.ews.ews import Ews


class EwsParameters(MethodParameters):
    """Subnets, their distillation, and the search for weak ones."""

    width: Fraction = Field(default=0.7, description="Subnet width rho: share of paths and channels that is kept.")
    rounding: Literal["ceil", "expected"] = Field(
        default="ceil", description="How rho n becomes a number of paths and channels."
    )
    weight: NonNegative = Field(default=1.0, description="Weight lambda of the distillation term.")
    distillation: Literal["kl", "ce"] = Field(
        default="kl", description="KL(full||sub), or cross-entropy on the labels."
    )
    reduction: Literal["batchmean", "mean"] = Field(
        default="batchmean", description="KL averaged over examples, or also over classes."
    )
    batch_fraction: Fraction = Field(default=1.0, description="Share of the batch on which the subnet is distilled.")
    interval: Count = Field(default=10, description="Iterations between controller updates, K.")
    samples: Count = Field(default=1, description="Subnets per controller update, C.")
    search: Annotated[str, one_of(tuple(SEARCHES))] = Field(default="learned", description="Search strategy.")
    hidden: Count = Field(default=100, description="Hidden size of the controller's LSTM.")
    learning_rate: Positive = Field(default=3.0e-4, description="Controller's learning rate (Adam).")
    betas: Annotated[tuple[Decay, Decay], Field(strict=False)] = Field(
        default=(0.5, 0.999), description="Controller's Adam betas."
    )
    entropy: Literal["selected", "draw"] = Field(
        default="selected", description="-p log p of what was drawn, as released; or the entropy of the whole draw."
    )
    entropy_bonus: NonNegative = Field(default=0.005, description="Weight of the policy's entropy.")
    baseline_decay: Decay = Field(default=0.99, description="Decay of the moving average of the raw reward.")
    gradient_clip: Positive = Field(default=3.0, description="Largest norm of the controller's gradient.")


def chosen(parameters: EwsParameters) -> tuple[Callable[[], object], ...]:
    """Return what imports the search strategy."""
    return (SEARCHES[parameters.search].implementation,)


def implementation() -> Callable[[Context, EwsParameters], Ews]:
    """Return the component."""
    from ews.methods.ews.ews import Ews

    return Ews


SPEC = MethodSpec(
    name="ews",
    summary="Enhancing weak subnets (Guo et al. 2022, Algorithm 1)",
    kind="extra",
    chosen=chosen,
    blocks=True,
    logs=("controller.csv", "kept.csv"),
    parameters=EwsParameters,
    implementation=implementation,
)
