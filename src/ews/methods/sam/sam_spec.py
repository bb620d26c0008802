"""What SAM says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ews.core.values import Positive
from ews.methods.method_specs import MethodSpec
from ews.methods.sharpness_spec import SharpnessParameters, least_part

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.sam.sam import Sam


class SamParameters(SharpnessParameters):
    """The step; its length is the one for CIFAR-10."""

    rho: Positive = Field(default=0.045, description="Length of the step along the gradient.")


def implementation() -> Callable[[Context, SamParameters], Sam]:
    """Return the component."""
    from ews.methods.sam.sam import Sam

    return Sam


SPEC = MethodSpec(
    name="sam",
    summary="Sharpness-aware minimisation (Foret et al. 2021)",
    kind="wrapper",
    moves_weights=True,
    least_part=least_part,
    parameters=SamParameters,
    implementation=implementation,
)
