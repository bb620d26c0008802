"""Search strategies: how a subnet is found (paper, section 3.2 and Table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ews.subnets.search.search_registry import SEARCHES

if TYPE_CHECKING:
    import torch

    from ews.models.network import Network
    from ews.models.space import SubnetSize
    from ews.subnets.search.search import Search


def build(
    name: str, network: Network, size: SubnetSize, *, device: torch.device | str = "cpu", seed: int = 0
) -> Search:
    """Build a search strategy.

    Args:
        name: one of :data:`ews.subnets.search.search_registry.SEARCHES`.
        network: the network whose subnets are sought.
        size: width and rounding; for a strategy that learns also how, see
            :class:`ews.subnets.search.search.PolicyParameters`.
        device: the network's.
        seed: of a policy's first parameters.

    Raises:
        EwsError: unknown name or rounding, width out of range, nothing said of how to learn.
    """
    return SEARCHES.find(name).implementation()(network, size, device=device, seed=seed)
