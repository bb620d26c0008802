"""What ResNet-18, -34 and -50 say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ews.core.values import Count
from ews.models.architecture_specs import ZERO_INIT, ArchitectureParameters, ArchitectureSpec

if TYPE_CHECKING:
    from ews.models.network import Head, Network


class ResNetParameters(ArchitectureParameters):
    """Four stages; basic blocks or bottlenecks."""

    stages: ClassVar[int] = 4
    network: Literal["resnet"] = Field(default="resnet", description="Kind of network.")
    depth: Literal[18, 34, 50] = Field(description="Layers; 18 and 34 have basic blocks, 50 bottlenecks.")
    width: Count = Field(description="Channels of the first stage; 64 in the paper.")
    zero_init_residual: bool = Field(default=False, description=ZERO_INIT)


def implementation() -> Callable[[ResNetParameters, Head], Network]:
    """Return what builds the network."""
    from ews.models.resnet.resnet import resnet

    return resnet


SPEC = ArchitectureSpec(
    name="resnet",
    summary="ResNet-18, -34, -50 with four stages and the CIFAR stem (3x3 convolution, no pooling)",
    parameters=ResNetParameters,
    implementation=implementation,
)
