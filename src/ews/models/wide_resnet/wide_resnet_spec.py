"""What wide residual networks say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from ews.core.values import Count
from ews.models.architecture_specs import INIT, ArchitectureParameters, ArchitectureSpec, InitialWeights

if TYPE_CHECKING:
    from ews.models.network import Head, Network


class WideResNetParameters(ArchitectureParameters):
    """WRN-depth-widen: depth 6n + 4, three stages."""

    stages: ClassVar[int] = 3
    network: Literal["wide_resnet"] = Field(default="wide_resnet", description="Kind of network.")
    depth: int = Field(ge=10, description="Layers: 6n + 4.")
    widen: Count = Field(description="Factor of the widths 16, 32, 64.")
    init: InitialWeights = Field(default="he", description=INIT)

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise ValueError(f"must be 6n + 4 (10, 16, 28, 34, ...), not {depth}")
        return depth


def implementation() -> Callable[[WideResNetParameters, Head], Network]:
    """Return what builds the network."""
    from ews.models.wide_resnet.wide_resnet import wide_resnet

    return wide_resnet


SPEC = ArchitectureSpec(
    name="wide_resnet",
    summary="Wide residual networks (Zagoruyko and Komodakis 2016): WRN-depth-widen",
    parameters=WideResNetParameters,
    implementation=implementation,
)
