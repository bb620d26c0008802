"""Wide residual networks WRN-d-k (Zagoruyko and Komodakis 2016)."""

from collections.abc import Sequence

import torch

from ews.core.errors import EwsError
from ews.models.block import BlockSpec, Unit
from ews.models.network import Network

STEM = 16


def wide_resnet(
    *,
    depth: int,
    widen: int,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator | None,
) -> Network:
    """Declare three stages of (depth - 4) / 6 pre-activation blocks with 16k, 32k, 64k channels.

    Args:
        depth: d = 6n + 4: 10, 16, 22, 28, 34, 40.
        widen: k, the factor on the channels.

    Raises:
        EwsError: the depth is not 6n + 4.
    """
    count, rest = divmod(depth - 4, 6)
    if rest or count < 1:
        raise EwsError(f"architecture depth: {depth} is not 6n + 4; valid: 10, 16, 22, 28, 34, 40, ...")
    blocks = []
    inputs = STEM
    for stage in range(3):
        channels = STEM * widen * 2**stage
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            units = (Unit(channels, 3, stride), Unit(channels, 3, 1))
            same = stride == 1 and inputs == channels
            blocks.append(BlockSpec(units, "identity" if same else "projection", preactivation=True))
            inputs = channels
    return Network(stem=STEM, blocks=blocks, classes=classes, mean=mean, std=std, generator=generator)
