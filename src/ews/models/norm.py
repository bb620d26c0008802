"""Batch normalisation that a subnet can use with the statistics of its batch only."""

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """The ordinary layer, plus the pass of a subnet."""

    def batch_statistics(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        """Normalise by the batch's own statistics; the running ones are neither read nor updated.

        Args:
            x: [B, k, H, W].
            index: which of the layer's channels the k channels are, int64 [k]; None: all of them.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if index is not None:
            weight, bias = weight.index_select(0, index), bias.index_select(0, index)
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)
