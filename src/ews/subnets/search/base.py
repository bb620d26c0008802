"""What every search strategy offers to the training step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ews.core.errors import EwsError
from ews.models.network import Network
from ews.models.space import path_rule
from ews.models.subnet import Subnet

Reward = Callable[[list[Subnet]], Tensor]
"""R(alpha): accuracies in [0, 1] on the current batch, one a subnet, floating [C], computed without autograd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How a policy is learned.

    Attributes:
        samples: C, subnets per update; at least 1.
        learning_rate: of Adam.
        betas: of Adam.
        entropy_bonus: weight of the entropy, in accuracy per nat; at least 0.
        baseline_decay: of the moving average of the raw rewards, in [0, 1).
        gradient_clip: largest norm of the policy's gradient; positive.
        hidden: size of the controller's LSTM (the bandit has none).
    """

    samples: int
    learning_rate: float
    betas: tuple[float, float]
    entropy_bonus: float
    baseline_decay: float
    gradient_clip: float
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What every strategy is given.

    Attributes:
        width: rho in (0, 1], the share of paths and channels that a subnet keeps.
        rounding: ``ceil`` or ``expected``, see :mod:`ews.models.space`.
        device: the network's device; generators given to the strategy are on it too.
        seed: of a policy's first parameters.
        policy: how a policy is learned, for strategies that do.
    """

    width: float
    rounding: str
    device: torch.device | str
    seed: int = 0
    policy: PolicySettings | None = None


class Search(ABC):
    """Finds subnets of a fixed width.

    In a training step, in the order of Algorithm 1: every K steps ``update``; ``sample``; the full pass with its
    backward; ``observe``; the subnet's pass.
    """

    learns: ClassVar[bool] = False
    """Whether ``update`` does anything."""

    def __init__(self, network: Network, settings: SearchSettings) -> None:
        """Keep the network whose subnets are sought, and the settings.

        Raises:
            EwsError: unknown rounding, or width out of range.
        """
        path_rule(settings.width, settings.rounding)
        self.space = network.space
        self.network = network
        self.width = settings.width
        self.rounding = settings.rounding
        self.device = torch.device(settings.device)
        self.kept = self.space.kept_channels(self.width)

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
