"""What the thin residual networks say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ews.core.values import Count
from ews.models.architecture_specs import INIT, ZERO_INIT, ArchitectureParameters, ArchitectureSpec, InitialWeights

if TYPE_CHECKING:
    from ews.models.network import Head, Network


class CifarResNetParameters(ArchitectureParameters):
    """Depth 6n + 2, three stages."""

    stages: ClassVar[int] = 3
    network: Literal["cifar_resnet"] = Field(default="cifar_resnet", description="Kind of network.")
    depth: int = Field(ge=8, description="Layers: 6n + 2.")
    width: Count = Field(description="Channels of the first stage; doubled in each of the two next.")
    init: InitialWeights = Field(default="he", description=INIT)
    zero_init_residual: bool = Field(default=False, description=f"{ZERO_INIT} With softplus alone.")

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        if (depth - 2) % 6:
            raise ValueError(f"must be 6n + 2 (8, 14, 20, 32, ...), not {depth}")
        return depth

    @model_validator(mode="after")
    def _alive(self) -> CifarResNetParameters:
        # Where the shortcut pads with zeros, a branch that starts at zero leaves zeros, at which ReLU has no gradient:
        # the scale and shift of these channels would never move.
        if self.zero_init_residual and self.activation == "relu":
            raise ValueError(
                "zero_init_residual: true with activation: relu leaves the channels that shortcuts pad dead for ever; "
                "use activation: softplus, or network: resnet, whose shortcuts are projections"
            )
        return self


def implementation() -> Callable[[CifarResNetParameters, Head], Network]:
    """Return what builds the network."""
    from ews.models.cifar_resnet.cifar_resnet import cifar_resnet

    return cifar_resnet


SPEC = ArchitectureSpec(
    name="cifar_resnet",
    summary="The thin ResNets for 32x32 images (He et al. 2016, section 4.2): depth 6n + 2",
    parameters=CifarResNetParameters,
    implementation=implementation,
)
