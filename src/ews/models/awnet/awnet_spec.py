"""What AW-Net's network says about itself: a part that any network can be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ews.core.values import Count
from ews.models.architecture_specs import DynamicParameters, DynamicSpec

if TYPE_CHECKING:
    import torch

    from ews.models.network import Network


class AwnetNetwork(DynamicParameters):
    """The router."""

    extractor: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)] = Field(
        default=(16, 32, 64),
        description="Output channels of the router's convolutions, each of which halves the image. Our choice.",
    )


def implementation() -> Callable[[Network, AwnetNetwork, torch.Generator | None], None]:
    """Return what turns a network into AW-Net, in place."""
    from ews.models.awnet.awnet import awnet

    return awnet


SPEC = DynamicSpec(
    name="awnet",
    summary="AW-Net (Wei and Zhao 2023): a router scales filters and mixes normalisations for each image",
    parameters=AwnetNetwork,
    implementation=implementation,
)
