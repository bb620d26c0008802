"""Subnets of the smallest weights: the pruning criterion among the paper's points of comparison (Table 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ews.subnets.search.ranked import Ranked


class L1Norm(Ranked):
    """Keeps the channels whose filters have the lowest L1 norm, as the weights are when it is asked.

    A channel's filter is the row of the convolution that makes it. A path's norm is that of all its convolutions,
    so that a path without weights (norm 0) is always kept.
    """

    def channel_scores(self, generator: torch.Generator) -> Sequence[Sequence[Tensor]]:
        """Return the L1 norms of the filters."""
        return [
            [weight.abs().sum((1, 2, 3)) for weight in block.path_weights()[0][:-1]] for block in self.network.blocks
        ]

    def path_scores(self, generator: torch.Generator) -> Sequence[Tensor]:
        """Return the L1 norms of the paths; an exact tie goes to the residual branch."""
        zero = torch.zeros((), device=self.device)
        return [
            torch.stack([sum((weight.abs().sum() for weight in weights), zero) for weights in block.path_weights()])
            for block in self.network.blocks
        ]
