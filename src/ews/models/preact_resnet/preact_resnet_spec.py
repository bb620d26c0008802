"""What the pre-activation ResNet-18 says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ews.core.values import Count
from ews.models.architecture_specs import ArchitectureParameters, ArchitectureSpec

if TYPE_CHECKING:
    from ews.models.network import Head, Network


class PreActResNetParameters(ArchitectureParameters):
    """Four stages of pre-activation blocks."""

    stages: ClassVar[int] = 4
    network: Literal["preact_resnet"] = Field(default="preact_resnet", description="Kind of network.")
    depth: Literal[18] = Field(default=18, description="Layers.")
    width: Count = Field(description="Channels of the first stage; 64 in the paper.")


def implementation() -> Callable[[PreActResNetParameters, Head], Network]:
    """Return what builds the network."""
    from ews.models.preact_resnet.preact_resnet import preact_resnet

    return preact_resnet


SPEC = ArchitectureSpec(
    name="preact_resnet",
    summary="Pre-activation ResNet-18 for 32x32 images (He et al. 2016b)",
    parameters=PreActResNetParameters,
    implementation=implementation,
)
