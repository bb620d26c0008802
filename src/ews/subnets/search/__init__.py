"""Search strategies: how a subnet is found (paper, section 3.2 and Table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ews.subnets.search.registry import SEARCHES

if TYPE_CHECKING:
    from ews.models.network import Network
    from ews.subnets.search.base import Search, SearchSettings


def build(name: str, network: Network, settings: SearchSettings) -> Search:
    """Build a search strategy.

    Args:
        name: one of :data:`ews.subnets.search.registry.SEARCHES`.
        network: the network whose subnets are sought.
        settings: width, rounding, device, seed, and how a policy is learned.

    Raises:
        EwsError: unknown name or rounding, width out of range.
    """
    return SEARCHES.find(name).implementation()(network, settings)
