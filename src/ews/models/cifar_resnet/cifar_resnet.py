"""The thin residual networks for 32x32 images: ResNet-8, -20, -32, ... (He et al. 2016, section 4.2)."""

from collections.abc import Sequence

import torch

from ews.core.errors import EwsError
from ews.models.block import BlockSpec, Unit
from ews.models.network import Network


def cifar_resnet(
    *,
    depth: int,
    width: int,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator | None,
) -> Network:
    """Declare a network of 6n + 2 layers: three stages of n basic blocks with width, 2 and 4 times width channels.

    The shortcut that halves the image subsamples and pads with zero channels (that paper's option A, without
    weights, its choice for these networks).

    Args:
        depth: 8, 14, 20, ...
        width: channels of the stem and of the first stage; 16 in that paper.

    Raises:
        EwsError: the depth is not 6n + 2.
    """
    count, rest = divmod(depth - 2, 6)
    if rest or count < 1:
        raise EwsError(f"architecture depth: {depth} is not 6n + 2; valid: 8, 14, 20, 26, 32, ...")
    blocks = []
    for stage in range(3):
        channels = width * 2**stage
        for i in range(count):
            halves = stage > 0 and i == 0
            units = (Unit(channels, 3, 2 if halves else 1), Unit(channels, 3, 1))
            blocks.append(BlockSpec(units, "padding" if halves else "identity", preactivation=False))
    return Network(stem=width, blocks=blocks, classes=classes, mean=mean, std=std, generator=generator)
