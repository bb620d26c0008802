"""What DAMP says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.core.values import Count, NonNegative
from ews.methods.method_specs import MethodParameters, MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.damp.damp import Damp


class DampParameters(MethodParameters):
    """The noise, and how it is computed; values of the paper for CIFAR-10."""

    sigma: NonNegative = Field(default=0.2, description="Standard deviation of the weights' factors, whose mean is 1.")
    sub_batches: Count = Field(
        default=8, description="Parts of a batch, each with its own draw, M; at most the batch's images."
    )
    gradient: Literal["perturbed", "objective"] = Field(
        default="perturbed",
        description="perturbed: with respect to the noisy weights (authors' code); objective: times the factors.",
    )
    form: Literal["auto", "sequential", "vmapped", "grouped"] = Field(
        default="auto",
        description="How layers with M weights are computed; same values; auto: the fastest on the device.",
    )


def implementation() -> Callable[[Context, DampParameters], Damp]:
    """Return the component."""
    from ews.methods.damp.damp import Damp

    return Damp


SPEC = MethodSpec(
    name="damp",
    summary="Data augmentation via multiplicative perturbations of the weights (Trinh et al. 2024)",
    kind="wrapper",
    moves_weights=True,
    parameters=DampParameters,
    implementation=implementation,
)
