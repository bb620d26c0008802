"""One subnet: what is kept of every residual block."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class BlockChoice:
    """What one block keeps.

    Attributes:
        residual: the residual branch is computed.
        shortcut: the shortcut is computed; at least one of the two is.
        channels: for each hidden layer of the residual branch the indices of the kept channels, int64 [k],
            ascending, on the network's device; empty when the residual branch is dropped.
    """

    residual: bool
    shortcut: bool
    channels: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Subnet:
    """A choice for every block, in the network's order."""

    blocks: tuple[BlockChoice, ...]
