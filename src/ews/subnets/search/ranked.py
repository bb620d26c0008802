"""Strategies that score paths and channels and keep the lowest."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ews.models.space import PATHS, choices
from ews.models.subnet import Subnet
from ews.subnets.search.search import Search


class Ranked(Search):
    """Keeps what a score ranks lowest; ties go to the lower index."""

    @abstractmethod
    def channel_scores(self, generator: torch.Generator) -> Sequence[Sequence[Tensor]]:
        """Return for each block and hidden layer the channels' scores [c]; equal scores are allowed."""

    @abstractmethod
    def path_scores(self, generator: torch.Generator) -> Sequence[Tensor]:
        """Return for each block the scores [2] of (residual branch, shortcut); asked only where one is dropped."""

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> Subnet:
        """Return the subnet of the lowest scores. Random are only the numbers of paths under ``expected``."""
        counts = self.path_counts(1, generator)[0]
        paths = [(True, True)] * len(counts)
        if min(counts) < PATHS:
            for b, scores in enumerate(self.path_scores(generator)):
                if counts[b] < PATHS:
                    residual = bool(scores[0] <= scores[1])
                    paths[b] = (residual, not residual)
        channels = [
            [lowest(scores, count) for scores, count in zip(layers, kept, strict=True)]
            for layers, kept in zip(self.channel_scores(generator), self.kept, strict=True)
        ]
        return choices(paths, channels)


def lowest(scores: Tensor, count: int) -> Tensor:
    """Return the indices of the ``count`` lowest scores, int64, ascending."""
    return scores.argsort(stable=True)[:count].sort().values
