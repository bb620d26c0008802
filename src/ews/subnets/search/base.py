"""What every search strategy offers to the training step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from ews.core.errors import EwsError
from ews.models.network import Network
from ews.models.space import SubnetSpace, path_rule
from ews.models.subnet import Subnet

Reward = Callable[[list[Subnet]], Tensor]
"""R(alpha): accuracies in [0, 1] on the current batch, one a subnet, floating [C], computed without autograd."""


class Search(ABC):
    """Finds subnets of a fixed width.

    In a training step, in the order of Algorithm 1: every K steps ``update``; ``sample``; the full pass with its
    backward; ``observe``; the subnet's pass.
    """

    learns: ClassVar[bool] = False
    """Whether ``update`` does anything: strategies that learn are given ``policy`` and ``seed``."""

    def __init__(
        self, space: SubnetSpace, network: Network, *, width: float, rounding: str, device: torch.device | str
    ) -> None:
        """Keep the common parameters, see :func:`ews.subnets.search.build`."""
        path_rule(width, rounding)
        self.space = space
        self.network = network
        self.width = width
        self.rounding = rounding
        self.device = torch.device(device)
        self.kept = space.kept_channels(width)

    @abstractmethod
    def sample(self, generator: torch.Generator) -> Subnet:
        """Return one subnet, to be enhanced; no gradients are recorded. The generator is on ``device``."""

    def update(self, reward: Reward, generator: torch.Generator) -> dict[str, Tensor]:
        """Improve the strategy by one step; return its log as scalars on the device; nothing if it does not learn."""
        return {}

    def observe(self) -> None:
        """Note what the full pass whose backward has just run left behind; nothing for most strategies."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs, as tensors and plain values (``torch.load(weights_only=True)``)."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            EwsError: a strategy without state was given one: it comes from another strategy.
        """
        if state:
            raise EwsError(f"search state: {type(self).__name__} has none, got {sorted(state)}; remove the sidecar.")

    def path_counts(self, samples: int, generator: torch.Generator) -> list[list[int]]:
        """Return the number of kept paths of each block for each of ``samples`` subnets."""
        return self.space.path_counts(self.width, self.rounding, samples=samples, generator=generator)
