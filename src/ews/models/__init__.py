"""Networks: a kind declares the blocks, a dynamic part may change any of them; nothing else differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ews.models.architecture_registry import ARCHITECTURES, DYNAMIC
from ews.models.architecture_specs import ArchitectureParameters, DynamicParameters

if TYPE_CHECKING:
    from ews.models.network import Head, Network


def build(parameters: ArchitectureParameters, head: Head, *, dynamic: DynamicParameters | None = None) -> Network:
    """Build a network with fresh weights.

    Args:
        parameters: of one of :data:`ews.models.architecture_registry.ARCHITECTURES`.
        head: classes, normalisation of the input, and source of the weights.
        dynamic: what makes the network depend on its input, of one of
            :data:`ews.models.architecture_registry.DYNAMIC`; None: nothing.
    """
    network = ARCHITECTURES.of(parameters).implementation()(parameters, head)
    if dynamic is not None:
        DYNAMIC.of(dynamic).implementation()(network, dynamic, head.generator)
    return network
