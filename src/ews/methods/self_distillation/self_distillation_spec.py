"""What self-distillation says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ews.core.values import Decay, NonNegative
from ews.methods.method_specs import MethodParameters, MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.self_distillation.self_distillation import SelfDistillation


class SelfDistillationParameters(MethodParameters):
    """The teacher, an average of the network's own weights, and how much it counts. Both values are choices."""

    weight: NonNegative = Field(default=1.0, description="Weight lambda of KL(average || network), as EWS's lambda.")
    decay: Decay = Field(default=0.99, description="Of the moving average of the weights, per iteration.")


def implementation() -> Callable[[Context, SelfDistillationParameters], SelfDistillation]:
    """Return the component."""
    from ews.methods.self_distillation.self_distillation import SelfDistillation

    return SelfDistillation


SPEC = MethodSpec(
    name="self_distillation",
    summary="Soft targets of the network's own average, the control for EWS's without subnets",
    kind="extra",
    parameters=SelfDistillationParameters,
    implementation=implementation,
)
