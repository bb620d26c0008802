"""What dropout says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ews.methods.method_specs import MethodParameters, MethodSpec
from ews.models.places import Place

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.dropout.dropout import Dropout


class DropoutParameters(MethodParameters):
    """What is dropped, and how often. The place is that of the authors' code; the rate is a choice: nothing says it."""

    rate: float = Field(default=0.3, ge=0, lt=1, description="Probability of dropping an element or a channel.")
    place: Place = Field(
        default="residual",
        description=(
            "residual: elements of each residual branch's output, before the shortcut is added, as released; "
            "hidden: the channels that EWS may drop; block: the channels of each residual block's output."
        ),
    )


def implementation() -> Callable[[Context, DropoutParameters], Dropout]:
    """Return the component."""
    from ews.methods.dropout.dropout import Dropout

    return Dropout


SPEC = MethodSpec(
    name="dropout",
    summary="Dropout, the paper's baseline (Tables 1 and 2)",
    kind="modifier",
    blocks=True,
    parameters=DropoutParameters,
    implementation=implementation,
)
