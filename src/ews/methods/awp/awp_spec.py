"""What adversarial weight perturbation says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ews.core.values import NonNegative
from ews.methods.method_specs import MethodParameters, MethodSpec, Needs

if TYPE_CHECKING:
    from ews.methods.awp.awp import Awp
    from ews.methods.component import Context


class AwpParameters(MethodParameters):
    """The perturbation of the weights; which one fits depends on the objective, so neither field has a default."""

    gamma: NonNegative = Field(description="Radius of the perturbation, a share of each layer's norm.")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="First epochs without perturbation.")


def implementation() -> Callable[[Context, AwpParameters], Awp]:
    """Return the component."""
    from ews.methods.awp.awp import Awp

    return Awp


SPEC = MethodSpec(
    name="awp",
    summary="Adversarial weight perturbation (Wu et al. 2020): one more pass a step",
    kind="wrapper",
    by_objective={
        "at": AwpParameters(gamma=0.01, warmup_epochs=0),
        "trades": AwpParameters(gamma=0.005, warmup_epochs=10),
        # Our choice: TRADES' radius.
        "awnet": AwpParameters(gamma=0.005, warmup_epochs=10),
    },
    needs=Needs(("at", "trades", "awnet"), "its radius is chosen for losses on adversarial images"),
    moves_weights=True,
    parameters=AwpParameters,
    implementation=implementation,
)
