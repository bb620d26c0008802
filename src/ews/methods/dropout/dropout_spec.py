"""What channel dropout says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.methods.method_specs import MethodParameters, MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.dropout.dropout import Dropout


class DropoutParameters(MethodParameters):
    """Which channels are dropped, and how often (place and rate are a choice: the paper says neither)."""

    rate: float = Field(default=0.3, ge=0, lt=1, description="Probability of dropping a channel.")
    place: Literal["hidden", "block"] = Field(
        default="hidden",
        description="hidden: the channels that EWS may drop; block: the output of each residual block.",
    )


def implementation() -> Callable[[Context, DropoutParameters], Dropout]:
    """Return the component."""
    from ews.methods.dropout.dropout import Dropout

    return Dropout


SPEC = MethodSpec(
    name="dropout",
    summary="Channel dropout, the paper's baseline (Tables 1 and 2)",
    kind="modifier",
    parameters=DropoutParameters,
    implementation=implementation,
)
