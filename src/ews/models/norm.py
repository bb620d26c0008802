"""Batch normalisation, and the part of it that a subnet uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """The ordinary layer, plus the pass of a subnet."""

    subnets_by_running = False
    """Whether subnets normalise by the running statistics; see :func:`running_statistics`."""

    def of_subnet(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        """Normalise by the batch's own statistics, or by the running ones; these are not updated.

        Args:
            x: [B, k, H, W].
            index: which of the layer's channels the k channels are, int64 [k]; None: all of them.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        mean, variance = (self.running_mean, self.running_var) if self.subnets_by_running else (None, None)
        if index is not None:
            weight, bias = weight.index_select(0, index), bias.index_select(0, index)
            if mean is not None and variance is not None:
                mean, variance = mean.index_select(0, index), variance.index_select(0, index)
        return F.batch_norm(x, mean, variance, weight, bias, training=mean is None, eps=self.eps)


@contextmanager
def running_statistics(network: nn.Module) -> Iterator[None]:
    """Let subnets inside of the block normalise by the running statistics of what they keep, and not by the batch.

    A subnet's pass is then that of the whole network in evaluation mode, less the channels and paths that it lacks.
    Passes of the whole network are as they are without this.

    Args:
        network: any module; blocks may nest.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, BatchNorm2d)]
    before = [layer.subnets_by_running for layer in layers]
    for layer in layers:
        layer.subnets_by_running = True
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.subnets_by_running = value
