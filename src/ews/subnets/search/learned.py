"""The paper's search: a policy of an LSTM controller, learned by policy gradient."""

import torch

from ews.subnets.controller import Controller
from ews.subnets.policy import Policy
from ews.subnets.search.policy_gradient import PolicyGradient


class Learned(PolicyGradient):
    """Weak subnets from the LSTM controller (section 3.2)."""

    def make_policy(self, generator: torch.Generator) -> Policy:
        """Return the controller."""
        return Controller(self.space, self.kept, hidden=self.settings.hidden, generator=generator)
