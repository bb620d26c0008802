"""Activated channel maps: what a network's stages answer to an image, a number per channel, and how far two differ."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.models.network import Network


def stage_ends(network: Network) -> list[int]:
    """Return the index of the last block of each stage, first stage first.

    A stage begins with the first block and with each one that has a stride or another number of output channels than
    the block before it: three stages in ``cifar_resnet`` and ``wide_resnet``, four in ``resnet`` and ``preact_resnet``.
    """
    blocks = list(network.blocks)
    begins = [
        place
        for place in range(1, len(blocks))
        if blocks[place].stride > 1 or blocks[place].outputs != blocks[place - 1].outputs
    ]
    return [*(place - 1 for place in begins), len(blocks) - 1]


def chosen_blocks(network: Network, stages: Sequence[int], *, where: str) -> list[int]:
    """Return the indices of the blocks that end the chosen stages.

    Args:
        network: the student or the teacher.
        stages: counted from the last, -1, upwards: [-3, -2, -1] are the last three; ascending, each once.
        where: for messages.

    Raises:
        EwsError: there is no such stage, or they do not ascend.
    """
    ends = stage_ends(network)
    if not stages or any(not -len(ends) <= stage <= -1 for stage in stages) or sorted(set(stages)) != list(stages):
        raise EwsError(
            f"{where}: stages {list(stages)}: the network has {len(ends)} stages; give some of "
            f"{list(range(-len(ends), 0))}, ascending, each once."
        )
    return [ends[stage] for stage in stages]


def channel_map(activation: Tensor) -> Tensor:
    """Return g(A) [B, C] of A [B, C, H, W]: the mean over space of |A|, float32 at least, not negative."""
    wide = activation.float() if activation.dtype.itemsize < 4 else activation
    return wide.abs().mean((2, 3))


def distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over examples of ||s/||s|| - t/||t|||| in the Euclidean norm, a scalar in [0, 2].

    A vector of zeros stays one, without a gradient; where the two agree, the gradient is zero.

    Args:
        student: floating [B, C].
        teacher: floating [B, C].
    """
    difference = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    return torch.linalg.vector_norm(difference, dim=1).mean()


@contextmanager
def watched(network: Network, blocks: Sequence[int]) -> Iterator[list[Tensor]]:
    """Collect the channel maps of the passes inside the block; other passes are not seen.

    Args:
        network: whose blocks' outputs count, in pre-activation networks the sums before the next normalisation.
        blocks: their indices, ascending.

    Yields:
        a list that each pass extends by one [B, C] for each block.
    """
    found: list[Tensor] = []

    def keep(block: nn.Module, inputs: object, output: Tensor) -> None:
        found.append(channel_map(output))

    handles = [network.blocks[place].register_forward_hook(keep) for place in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
