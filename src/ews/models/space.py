"""The space Omega of a network's subnets (paper, section 3.1) and how many paths and channels a width keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Protocol

import torch

from ews.core.errors import EwsError, unknown
from ews.models.subnet import BlockChoice, Subnet

PATHS = 2
"""n_i, the paths of a residual block: 0 is the residual branch, 1 the shortcut."""
ROUNDINGS = ("ceil", "expected")


class SubnetSize(Protocol):
    """How large subnets are: the parameters that say so, whatever else they say."""

    @property
    def width(self) -> float:
        """rho in (0, 1], the share of paths and channels that a subnet keeps."""
        ...

    @property
    def rounding(self) -> str:
        """``ceil`` or ``expected``: how rho n becomes a number of paths, see :meth:`SubnetSpace.path_counts`."""
        ...


MARGIN = 1e-6
"""Added to the width before rounding up, as in the authors' CIFAR and ImageNet scripts."""


def kept_count(total: int, width: float) -> int:
    """Return ceil(total * (width + 1e-6)), at most ``total``: how many of ``total`` a width keeps.

    The authors' rule: of two paths both are kept from width 0.5 on, and a product that is whole is rounded up
    (of 10 channels 8 at width 0.7).
    """
    return min(total, ceil(total * (width + MARGIN)))


@dataclass(frozen=True, slots=True)
class BlockSpace:
    """The hidden layers of one block's residual branch: ``channels`` holds c_j for each of them."""

    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SubnetSpace:
    """Every block that a subnet chooses from. All networks are described by this one class."""

    blocks: tuple[BlockSpace, ...]

    def kept_channels(self, size: SubnetSize) -> tuple[tuple[int, ...], ...]:
        """Return for each block, and each of its hidden layers, the number of kept channels.

        Channel counts are rounded up under both rounding rules: shapes are the same for every subnet of a width.
        """
        check_width(size.width)
        return tuple(tuple(kept_count(total, size.width) for total in block.channels) for block in self.blocks)

    def drops_paths(self, size: SubnetSize) -> bool:
        """Return whether a subnet of this width can lack a path."""
        low, chance = path_rule(size)
        return low + (chance > 0) < PATHS or (low < PATHS and chance < 1)

    def path_counts(self, size: SubnetSize, *, samples: int, generator: torch.Generator) -> list[list[int]]:
        """Return how many paths each block keeps: ``samples`` lists with one count a block.

        Under ``ceil`` the counts are fixed and no random number is drawn. Under ``expected`` each is drawn, outside
        of any policy, as the floor or the ceiling of max(1, width * 2), which is its mean; the draw is read by the
        host.
        """
        low, chance = path_rule(size)
        if chance == 0:
            return [[low] * len(self.blocks) for _ in range(samples)]
        draws = torch.rand(samples, len(self.blocks), generator=generator, device=generator.device)
        return [[low + int(more) for more in row] for row in (draws < chance).tolist()]

    def everything(self, *, device: torch.device | str) -> Subnet:
        """Return the subnet of width 1: all paths and all channels, by index."""
        return Subnet(
            tuple(
                BlockChoice(True, True, tuple(torch.arange(total, device=device) for total in block.channels))
                for block in self.blocks
            )
        )


def check_width(width: float) -> None:
    """Refuse a width outside (0, 1].

    Raises:
        EwsError: always naming the value.
    """
    if not 0 < width <= 1:
        raise EwsError(f"subnet width: {width!r} is not in (0, 1]; give the share of paths and channels to keep.")


def path_rule(size: SubnetSize) -> tuple[int, float]:
    """Return (low, chance): a block keeps ``low`` paths, and with probability ``chance`` one more.

    Raises:
        EwsError: the width is outside (0, 1] or the rounding rule unknown.
    """
    check_width(size.width)
    if size.rounding == "ceil":
        return kept_count(PATHS, size.width), 0.0
    if size.rounding == "expected":
        mean = max(1.0, size.width * PATHS)
        return floor(mean), mean - floor(mean)
    raise unknown("rounding", size.rounding, ROUNDINGS, where="subnet")


def choices(paths: Sequence[tuple[bool, bool]], channels: Sequence[Sequence[torch.Tensor]]) -> Subnet:
    """Assemble a subnet from (residual, shortcut) and the kept channels of each block.

    The channels of a dropped residual branch are left out.
    """
    return Subnet(
        tuple(
            BlockChoice(residual, shortcut, tuple(layers) if residual else ())
            for (residual, shortcut), layers in zip(paths, channels, strict=True)
        )
    )
