"""Pre-activation ResNet-18 and -34 for small images (He et al. 2016b), the network of adversarial training."""

from collections.abc import Sequence

import torch

from ews.core.errors import unknown
from ews.models.block import BlockSpec, Unit
from ews.models.network import Network

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def preact_resnet(
    *,
    depth: int,
    width: int,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator | None,
) -> Network:
    """Declare four stages of pre-activation basic blocks with width, 2, 4, 8 times width channels.

    Projections take the activated input; the last activation is normalised before the mean over space (some
    public versions of this network leave that out).

    Args:
        depth: 18 or 34.
        width: channels of the stem and of the first stage; 64 in the standard networks.

    Raises:
        EwsError: another depth.
    """
    if depth not in STAGES:
        raise unknown("depth", depth, map(str, STAGES), where="architecture")
    blocks = []
    for stage, count in enumerate(STAGES[depth]):
        channels = width * 2**stage
        for i in range(count):
            halves = stage > 0 and i == 0
            units = (Unit(channels, 3, 2 if halves else 1), Unit(channels, 3, 1))
            blocks.append(BlockSpec(units, "projection" if halves else "identity", preactivation=True))
    return Network(stem=width, blocks=blocks, classes=classes, mean=mean, std=std, generator=generator)
