"""What adversarial training says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.methods.adversarial_objective_spec import ATTACKS, AdversarialParameters
from ews.methods.method_specs import MethodSpec

if TYPE_CHECKING:
    from ews.methods.at.at import At
    from ews.methods.component import Context


class AtParameters(AdversarialParameters):
    """The attacks; section 4.2 of the paper and its released code."""

    attack_mode: Literal["train", "eval"] = Field(
        default="train",
        description="Whether the attacked network normalises by the batch or by the running statistics.",
    )


def implementation() -> Callable[[Context, AtParameters], At]:
    """Return the component."""
    from ews.methods.at.at import At

    return At


SPEC = MethodSpec(
    name="at",
    summary="Adversarial training (Madry et al. 2018): cross-entropy on PGD's examples",
    kind="objective",
    recipe="adversarial",
    attacks=ATTACKS,
    parameters=AtParameters,
    implementation=implementation,
)
