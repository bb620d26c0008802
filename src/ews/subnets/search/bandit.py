"""A search without a sequence model: the same policy gradient on independent logits (not in the paper)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ews.models.space import PATHS, SubnetSpace
from ews.subnets.policy import Decision, Policy, State
from ews.subnets.search.policy_gradient import PolicyGradient


class IndependentLogits(Policy):
    """One logit per path and per channel, zero at first: the uniform distribution."""

    def __init__(self, space: SubnetSpace, kept: Sequence[Sequence[int]]) -> None:
        super().__init__(space, kept)
        self.paths = nn.Parameter(torch.zeros(len(space.blocks), PATHS))
        self.channels = nn.ModuleList(
            nn.ParameterList(torch.zeros(total) for total in block.channels) for block in space.blocks
        )

    def begin(self, samples: int) -> State:
        """Remember only how many subnets are drawn."""
        return (torch.empty(samples, 0, device=self.device, dtype=self.dtype),)

    def logits(self, state: State, decision: Decision) -> tuple[Tensor, State]:
        """Return the decision's own logits, whatever was kept before."""
        own = self.paths[decision.block]
        if decision.layer >= 0:
            layers = self.channels[decision.block]
            assert isinstance(layers, nn.ParameterList)
            own = layers[decision.layer]
        return own.expand(state[0].shape[0], -1), state


class Bandit(PolicyGradient):
    """What the learned search would be without its LSTM; to tell what that buys."""

    def make_policy(self, generator: torch.Generator) -> Policy:
        """Return the logits; nothing is drawn."""
        return IndependentLogits(self.space, self.kept)
