"""What TRADES says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.core.values import NonNegative, StepSize
from ews.methods.adversarial_objective_spec import ATTACKS, AdversarialParameters
from ews.methods.method_specs import MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.trades.trades import Trades


class TradesParameters(AdversarialParameters):
    """The attacks and the weight of the divergence."""

    step_size: StepSize = Field(
        default=0.007, description="Step of the training's attack: above 0, at most 1, or as 2/255."
    )
    clamp_start: bool = Field(
        default=False,
        description="Whether the attack's start is clamped to [0, 1] before its first step; TRADES' code: false.",
    )
    reward_mode: Literal["train", "eval"] = Field(
        default="eval",
        description="Whether the subnets that EWS rewards normalise by the batch or by the running statistics, as "
        "released.",
    )
    beta: NonNegative = Field(default=6.0, description="Weight of the divergence; 1 / lambda of TRADES' paper.")


def implementation() -> Callable[[Context, TradesParameters], Trades]:
    """Return the component."""
    from ews.methods.trades.trades import Trades

    return Trades


SPEC = MethodSpec(
    name="trades",
    summary="TRADES (Zhang et al. 2019): clean cross-entropy plus beta KL(clean||adversarial)",
    kind="objective",
    recipe="adversarial",
    attacks=ATTACKS,
    parameters=TradesParameters,
    implementation=implementation,
)
