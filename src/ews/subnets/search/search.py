"""What every search strategy offers to the training step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ews.core.errors import EwsError
from ews.models.network import Network
from ews.models.space import SubnetSize, path_rule
from ews.models.subnet import Subnet

Reward = Callable[[list[Subnet]], Tensor]
"""R(alpha): accuracies in [0, 1] on the current batch, one a subnet, floating [C], computed without autograd."""


@runtime_checkable
class PolicyParameters(SubnetSize, Protocol):
    """How a policy over subnets is learned: the parameters that say so, whatever else they say."""

    @property
    def samples(self) -> int:
        """C, subnets per update; at least 1."""
        ...

    @property
    def learning_rate(self) -> float:
        """Of Adam."""
        ...

    @property
    def betas(self) -> tuple[float, float]:
        """Of Adam."""
        ...

    @property
    def entropy(self) -> str:
        """Its form, of :data:`ews.subnets.policy.ENTROPIES`."""
        ...

    @property
    def entropy_bonus(self) -> float:
        """Weight of the entropy, in accuracy per nat; at least 0."""
        ...

    @property
    def baseline_decay(self) -> float:
        """Of the moving average of the raw rewards, in [0, 1)."""
        ...

    @property
    def gradient_clip(self) -> float:
        """Largest norm of the policy's gradient; positive."""
        ...

    @property
    def hidden(self) -> int:
        """Size of the controller's LSTM (the bandit has none)."""
        ...


class Search(ABC):
    """Finds subnets of a fixed width.

    In a training step, in the order of Algorithm 1: every K steps ``update``; ``sample``; the full pass with its
    backward; ``observe``; the subnet's pass.
    """

    def __init__(self, network: Network, size: SubnetSize, *, device: torch.device | str, seed: int) -> None:
        """Keep the network whose subnets are sought, and how large these are.

        Args:
            network: the network.
            size: of the subnets; strategies that learn take :class:`PolicyParameters`.
            device: the network's; generators given to the strategy are on it too.
            seed: of a policy's first parameters.

        Raises:
            EwsError: unknown rounding, or width out of range.
        """
        path_rule(size)
        self.space = network.space
        if not self.space.blocks:
            raise EwsError("search: the network has no residual blocks, and so no subnets; train another one.")
        self.network = network
        self.size = size
        self.device = torch.device(device)
        self.kept = self.space.kept_channels(size)

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
        return self.space.path_counts(self.size, samples=samples, generator=generator)
