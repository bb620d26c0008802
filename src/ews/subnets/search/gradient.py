"""Subnets of what matters least to the loss: first-order effects from the full pass (not in the paper)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ews.models.network import Network
from ews.models.space import SubnetSize
from ews.subnets.search.ranked import Ranked


class Gradient(Ranked):
    """Keeps the channels with the lowest |sum a dL/da| over images and places, a first-order estimate of what the
    loss changes by when the channel is dropped.

    The effects come from the backward of the training run's own full pass: no extra pass. Before the first one every
    subset is equally likely. Building the strategy switches the capture on in the network.
    """

    def __init__(self, network: Network, size: SubnetSize, *, device: torch.device | str, seed: int) -> None:
        """See :class:`ews.subnets.search.search.Search`."""
        super().__init__(network, size, device=device, seed=seed)
        network.capture_effects(True, paths=self.space.drops_paths(size))
        self._channels: list[list[Tensor]] | None = None
        self._paths: list[Tensor] | None = None

    def observe(self) -> None:
        """Take over the effects of the full pass that has just run backward."""
        effects = self.network.take_effects()
        if effects is None:
            return
        self._channels = [[_present(value).abs() for value in block.channels] for block in effects]
        if all(value is not None for block in effects for value in block.paths):
            self._paths = [torch.stack([_present(value).abs() for value in block.paths]) for block in effects]

    def channel_scores(self, generator: torch.Generator) -> Sequence[Sequence[Tensor]]:
        """Return the effects; noise before the first full pass."""
        if self._channels is None:
            return [
                [torch.rand(total, generator=generator, device=self.device) for total in block.channels]
                for block in self.space.blocks
            ]
        return self._channels

    def path_scores(self, generator: torch.Generator) -> Sequence[Tensor]:
        """Return the effects of the paths; noise before the first full pass."""
        if self._paths is None:
            return list(torch.rand(len(self.space.blocks), 2, generator=generator, device=self.device))
        return self._paths

    def state_dict(self) -> dict[str, Any]:
        """Return the last effects."""
        return {"channels": self._channels, "paths": self._paths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the last effects."""
        channels, paths = state["channels"], state["paths"]
        self._channels = None if channels is None else [[one.to(self.device) for one in block] for block in channels]
        self._paths = None if paths is None else [one.to(self.device) for one in paths]


def _present(value: Tensor | None) -> Tensor:
    assert value is not None
    return value
