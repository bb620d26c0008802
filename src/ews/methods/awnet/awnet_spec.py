"""What AW-Net's training says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.core.values import Decay, NonNegative
from ews.methods.adversarial_objective_spec import ATTACKS, AdversarialParameters
from ews.methods.method_specs import MethodSpec, Teacher, TeacherRole
from ews.models.awnet.awnet_spec import AwnetNetwork

if TYPE_CHECKING:
    from ews.methods.awnet.awnet import Awnet
    from ews.methods.component import Context


class AwnetParameters(AdversarialParameters):
    """The attacks, and how the three losses are weighted."""

    start: Literal["uniform", "gaussian"] = Field(
        default="gaussian",
        description="Where the training's attack starts: x + 0.001 N(0, 1), not clamped, as in MTARD's code; or "
        "uniform in the ball.",
    )
    divergence_weight: NonNegative = Field(
        default=0.1,
        description="Factor of both divergences, each a mean over examples. MTARD's code: 0.1 on both CIFARs.",
    )
    weight_rate: Decay = Field(
        default=0.025,
        description="How far the two losses' weights move in a step; times the learning rate's share. MTARD's.",
    )
    type_weight: NonNegative = Field(
        default=1.0, description="Weight of the cross-entropy of the image's type. Our choice."
    )


def implementation() -> Callable[[Context, AwnetParameters], Awnet]:
    """Return the component."""
    from ews.methods.awnet.awnet import Awnet

    return Awnet


SPEC = MethodSpec(
    name="awnet",
    summary="AW-Net (Wei and Zhao 2023): filters and normalisations that depend on the image; two teachers, as MTARD",
    kind="objective",
    blocks=True,
    network=AwnetNetwork,
    recipe="adversarial",
    excludes={"ews": "a subnet is a slice of fixed weights, and AW-Net has other filters for every image"},
    teachers=(
        TeacherRole("clean", "Teaches the clean images.", Teacher(method="vanilla", weights="last")),
        TeacherRole("robust", "Teaches the adversarial images.", Teacher(method="trades", weights="best")),
    ),
    attacks=ATTACKS,
    parameters=AwnetParameters,
    implementation=implementation,
)
