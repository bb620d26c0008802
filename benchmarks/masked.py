"""The reference that the sliced subnet is measured against: a subnet by masks, as one writes it first.

Everything is computed at full size, dropped channels are multiplied by zero, and the sum of both losses goes backward
at once, so that the activations of both passes are in memory at a time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ews.methods.component import Batch, Context
from ews.models.block import Block
from ews.models.network import Network
from ews.models.subnet import BlockChoice, Subnet
from ews.subnets.distil import distillation


def masked_logits(network: Network, x: Tensor, subnet: Subnet) -> Tensor:
    """Return the subnet's logits [B, classes] for x [B, 3, H, W] in [0, 1], with batch statistics."""
    x = network.stem((x - network.mean) / network.std)
    if not network.preactivation:
        x = network.activation(network.norm.of_subnet(x))
    for block, choice in zip(network.blocks, subnet.blocks, strict=True):
        x = _block(block, x, choice)
    if network.preactivation:
        x = network.activation(network.norm.of_subnet(x))
    logits: Tensor = network.head(x.mean((2, 3)))
    return logits


def _block(block: Block, x: Tensor, choice: BlockChoice) -> Tensor:
    first = block.activation(block.norms[0].of_subnet(x)) if block.preactivation else x
    out = first
    last = len(block.convs) - 1
    for i, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True)):
        if block.preactivation and i > 0:
            out = block.activation(norm.of_subnet(out))
            out = out * _mask(out, choice, i - 1)
        out = conv(out)
        if not block.preactivation:
            out = norm.of_subnet(out)
            if i < last:
                out = block.activation(out)
                out = out * _mask(out, choice, i)
    shortcut = x
    if block.projection is not None:
        shortcut = block.projection(first)
        if block.projection_norm is not None:
            shortcut = block.projection_norm.of_subnet(shortcut)
    elif block.shortcut == "padding":
        extra = block.outputs - block.inputs
        shortcut = F.pad(x[:, :, :: block.stride, :: block.stride], (0, 0, 0, 0, extra // 2, extra - extra // 2))
    out = float(choice.residual) * out + float(choice.shortcut) * shortcut
    return out if block.preactivation else block.activation(out)


def _mask(x: Tensor, choice: BlockChoice, layer: int) -> Tensor:
    """Return ones for the kept channels of x, [1, c, 1, 1]."""
    mask = torch.zeros(x.shape[1], device=x.device, dtype=x.dtype)
    if choice.residual:
        mask = mask.index_fill(0, choice.channels[layer], 1.0)
    return mask.view(1, -1, 1, 1)


class Masked:
    """Cross-entropy + lambda * KL(full || masked), in one graph."""

    def __init__(self, where: Context, *, weight: float, reduction: str, compiled: bool) -> None:
        """Take the parameters of :class:`ews.methods.ews.ews.Ews` that matter here."""
        self.context = where
        self.weight = weight
        self.reduction = reduction
        self.logits = torch.compile(masked_logits, dynamic=False) if compiled else masked_logits

    def gradients(self, batch: Batch, subnet: Subnet) -> None:
        """Accumulate the gradient of a batch."""
        images = batch.images[0]
        full = self.context.logits(images)
        if self.context.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.context.autocast():
            weak = self.logits(self.context.network, images, subnet)
        loss = F.cross_entropy(full, batch.labels)
        weak = weak if full.dtype == torch.float64 else weak.float()
        term = distillation(weak, full, batch.labels, loss="kl", reduction=self.reduction)
        (loss + self.weight * term).backward()
