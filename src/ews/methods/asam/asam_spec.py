"""What ASAM says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ews.core.values import Positive
from ews.methods.method_specs import MethodSpec
from ews.methods.sharpness_spec import SharpnessParameters, least_part

if TYPE_CHECKING:
    from ews.methods.asam.asam import Asam
    from ews.methods.component import Context


class AsamParameters(SharpnessParameters):
    """The step; its length is the one for CIFAR-10."""

    rho: Positive = Field(default=1.0, description="Length of the step along the gradient.")


def implementation() -> Callable[[Context, AsamParameters], Asam]:
    """Return the component."""
    from ews.methods.asam.asam import Asam

    return Asam


SPEC = MethodSpec(
    name="asam",
    summary="Adaptive sharpness-aware minimisation (Kwon et al. 2021): steps relative to the weights",
    kind="wrapper",
    moves_weights=True,
    least_part=least_part,
    parameters=AsamParameters,
    implementation=implementation,
)
