"""Learning a policy that finds weak subnets: REINFORCE on the subnets' accuracy (paper, Eq. (1), Algorithm 1)."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.models.network import Network
from ews.models.space import SubnetSize
from ews.models.subnet import Subnet
from ews.subnets.policy import Draws, Policy, sampler
from ews.subnets.search.search import PolicyParameters, Reward, Search


class PolicyGradient(Search):
    """A search that learns: subclasses say which policy."""

    def __init__(self, network: Network, size: SubnetSize, *, device: torch.device | str, seed: int) -> None:
        """Build the policy and its optimiser, see :class:`ews.subnets.search.search.Search`.

        Raises:
            EwsError: the settings do not say how the policy is learned.
        """
        super().__init__(network, size, device=device, seed=seed)
        if not isinstance(size, PolicyParameters):
            raise EwsError(f"search: {type(self).__name__} learns a policy, and its parameters say nothing of one.")
        self.settings: PolicyParameters = size
        self.policy = self.make_policy(torch_stream(seed, "policy")).to(self.device)
        first, second = self.settings.betas
        self.optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=self.settings.learning_rate, betas=(first, second)
        )
        self.baseline = torch.zeros((), device=self.device)
        self.updates = 0

    @abstractmethod
    def make_policy(self, generator: torch.Generator) -> Policy:
        """Return the policy with parameters drawn from a generator on the CPU."""

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> Subnet:
        """Draw a subnet from the policy."""
        return self.draw(1, generator).subnets[0]

    def update(self, reward: Reward, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw C subnets, measure them, and step down the gradient of their expected accuracy.

        The loss is mean(log pi (R - b)) - bonus mean(entropy), minimised: the probability of subnets with *high*
        accuracy falls (line 7 of Algorithm 1 as printed would raise it, against Eq. (1)). The baseline b is the
        moving average of the raw rewards of earlier updates; the first update's rewards initialise it.

        Returns:
            scalars: reward (mean of the C), baseline (as used), entropy (of the form in use), loss, gradient_norm
            (before clipping).
        """
        settings = self.settings
        draws = self.draw(settings.samples, generator)
        rewards = reward(draws.subnets).to(self.baseline).detach()
        mean = rewards.mean()
        baseline = self.baseline if self.updates else mean
        entropy = draws.entropy(settings.entropy).mean()
        loss = policy_loss(draws.log_likelihood(), rewards - baseline) - settings.entropy_bonus * entropy
        self.optimizer.zero_grad(set_to_none=True)
        norm = torch.zeros_like(loss)
        if loss.requires_grad:  # At width 1 there is nothing to decide.
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.policy.parameters(), settings.gradient_clip)
            self.optimizer.step()
        self.baseline = torch.lerp(mean, baseline, settings.baseline_decay)
        self.updates += 1
        return {
            "reward": mean,
            "baseline": baseline,
            "entropy": entropy.detach(),
            "loss": loss.detach(),
            "gradient_norm": norm.detach(),
        }

    def draw(self, samples: int, generator: torch.Generator) -> Draws:
        """Draw subnets from the policy, with the decisions that made them."""
        # The policy is small and its likelihood a long sum: full precision even where the training run has half.
        with torch.autocast(self.device.type, enabled=False):
            return self.policy.draw(self.path_counts(samples, generator), sampler(generator))

    def state_dict(self) -> dict[str, Any]:
        """Return policy, optimiser, baseline and the number of updates."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`: what follows is as if there had been no break."""
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline = state["baseline"].to(self.device)
        self.updates = state["updates"]


def policy_loss(log_likelihood: Tensor, advantage: Tensor) -> Tensor:
    """Return mean(log pi * advantage), whose gradient estimates that of E[R], Eq. (1); both [C]."""
    return (log_likelihood * advantage.detach()).mean()
