"""Search strategies by name: how a subnet is found (paper, section 3.2 and Table 5)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ews.core.registry import lookup

if TYPE_CHECKING:
    import torch

    from ews.models.network import Network
    from ews.subnets.search.base import Search

REGISTRY: dict[str, str] = {
    "learned": "ews.subnets.search.learned:Learned",
    "random": "ews.subnets.search.random:Random",
    "l1_norm": "ews.subnets.search.l1_norm:L1Norm",
    "gradient": "ews.subnets.search.gradient:Gradient",
    "bandit": "ews.subnets.search.bandit:Bandit",
}


def build(
    name: str,
    *,
    network: "Network",
    width: float,
    rounding: str,
    device: "torch.device | str",
    seed: int,
    policy: Mapping[str, Any],
) -> "Search":
    """Build a search strategy.

    Args:
        name: an entry of the registry.
        network: the network whose subnets are sought.
        width: rho in (0, 1], the share of paths and channels that a subnet keeps.
        rounding: ``ceil`` or ``expected``, see :mod:`ews.models.space`.
        device: the network's device; generators given to the strategy are on it too.
        seed: of the policy's first parameters.
        policy: the fields of :class:`ews.subnets.search.policy_gradient.PolicySettings`; given only to strategies
            that learn one.

    Raises:
        EwsError: unknown name or rounding, width out of range.
    """
    kind = lookup(REGISTRY, name, kind="search")
    own = {"policy": policy, "seed": seed} if kind.learns else {}
    search: Search = kind(network.space, network, width=width, rounding=rounding, device=device, **own)
    return search
