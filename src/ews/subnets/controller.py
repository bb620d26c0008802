"""The LSTM controller of the paper (section 3.2): one cell that walks through the blocks."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ews.models.space import PATHS, SubnetSpace
from ews.subnets.policy import Decision, Policy, State


class Controller(Policy):
    """Logits from an LSTM that hears what was kept so far.

    One step of the cell per decision. Its initial state and first input are zeros, constant and without parameters;
    each further input is the mean embedding of the paths or channels just kept, from one table per block. A linear
    head gives the logits: one head for paths and one for every distinct number of channels, each shared by all
    blocks [choice]. (The authors have one for channels, as wide as the widest layer, whose first outputs a narrower
    layer reads; and other first parameters, see docs/deviations.md.)
    """

    def __init__(
        self, space: SubnetSpace, kept: Sequence[Sequence[int]], *, hidden: int, generator: torch.Generator
    ) -> None:
        """Build the controller with parameters drawn uniformly by fan-in.

        Args:
            space: the blocks.
            kept: the number of kept channels of each layer.
            hidden: size of the LSTM's state and of the embeddings; 100 in the authors' code.
            generator: source of the parameters, on the CPU.
        """
        super().__init__(space, kept)
        self.hidden = hidden
        self.cell = cast(nn.LSTMCell, skip_init(nn.LSTMCell, hidden, hidden))
        sizes = {total for block in space.blocks for total in block.channels}
        self.heads = nn.ModuleDict({str(size): skip_init(nn.Linear, hidden, size) for size in sorted(sizes)})
        self.paths_head = skip_init(nn.Linear, hidden, PATHS)
        self.tables = nn.ParameterList(torch.empty(PATHS + sum(block.channels), hidden) for block in space.blocks)
        bound = hidden**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def begin(self, samples: int) -> State:
        """Return the state of zeros: LSTM state h and c, and the first input, each [C, hidden]."""
        zeros = torch.zeros(samples, self.hidden, device=self.device, dtype=self.dtype)
        return zeros, zeros, zeros

    def logits(self, state: State, decision: Decision) -> tuple[Tensor, State]:
        """Step the cell; read the head of the decision's size."""
        h, c, x = state
        h, c = self.cell(x, (h, c))
        head = self.paths_head if decision.layer < 0 else self.heads[str(decision.total)]
        return head(h), (h, c, x)

    def feed(self, state: State, decision: Decision, kept: Tensor) -> State:
        """Make the mean embedding of what was kept the next input."""
        offset = 0 if decision.layer < 0 else PATHS + sum(self.space.blocks[decision.block].channels[: decision.layer])
        h, c, _ = state
        return h, c, F.embedding_bag(kept + offset, self.tables[decision.block], mode="mean")
