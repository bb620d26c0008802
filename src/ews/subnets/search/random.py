"""Subnets drawn uniformly: the paper's point of comparison for the learned search."""

import torch

from ews.models.space import PATHS, choices
from ews.models.subnet import Subnet
from ews.subnets.search.search import Search


class Random(Search):
    """Every subset of the right size is equally likely, in each block and layer."""

    def sample(self, generator: torch.Generator) -> Subnet:
        """Return a uniformly drawn subnet."""
        paths = []
        channels = []
        counts = self.path_counts(1, generator)[0]
        for block, kept, count in zip(self.space.blocks, self.kept, counts, strict=True):
            residual = shortcut = True
            if count < PATHS:
                residual = bool(torch.rand((), generator=generator, device=self.device) < 0.5)
                shortcut = not residual
            paths.append((residual, shortcut))
            # Nothing is drawn for a branch that is dropped.
            layers = zip(block.channels, kept, strict=True) if residual else ()
            channels.append([self._subset(total, keep, generator) for total, keep in layers])
        return choices(paths, channels)

    def _subset(self, total: int, keep: int, generator: torch.Generator) -> torch.Tensor:
        if keep == total:
            return torch.arange(total, device=self.device)
        order = torch.rand(total, generator=generator, device=self.device).argsort()
        return order[:keep].sort().values
