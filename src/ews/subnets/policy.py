"""What a policy over subnets is: a sequence of decisions, block by block, drawn for many subnets at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ews.core.errors import unknown
from ews.models.space import PATHS, SubnetSpace, choices
from ews.models.subnet import Subnet
from ews.subnets import plackett_luce

Choose = Callable[[Tensor, int], Tensor]
"""(logits [C, n], how many are kept) -> orders int64 [C, n], see :mod:`ews.subnets.plackett_luce`."""
State = tuple[Tensor, ...]
"""What a policy carries from decision to decision: tensors whose first dimension is the subnet, [C, ...]."""
Measure = Callable[[Tensor, Tensor, int], Tensor]
"""(logits [..., n], orders [..., n], how many are kept) -> [...], a number for each decision."""
ENTROPIES: Mapping[str, Measure] = {"selected": plackett_luce.selected_entropy, "draw": plackett_luce.entropy}
"""Form of the policy's entropy -> that of one decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to decide: which of ``total`` paths or channels to keep.

    Attributes:
        block: index of the block.
        layer: index of the hidden layer; -1 for the block's paths.
        total: n.
    """

    block: int
    layer: int
    total: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A decision as taken for C subnets; ``asked`` says for which it arose (None: for all)."""

    logits: Tensor
    order: Tensor
    count: int
    asked: Tensor | None


class Draws:
    """C subnets and the decisions that made them."""

    def __init__(self, subnets: list[Subnet], taken: list[Taken], zero: Tensor) -> None:
        self.subnets = subnets
        self.taken = taken
        self._zero = zero

    def log_likelihood(self) -> Tensor:
        """Return log pi of each subnet as drawn, in order: the sum over the decisions that arose, [C]."""
        return self._sum(plackett_luce.log_likelihood)

    def entropy(self, form: str) -> Tensor:
        """Return the sum of the entropies of the decisions that arose, [C].

        Args:
            form: ``draw``: a decision's is the sum of the entropies of its steps, of mean the entropy of the ordered
                draw; ``selected``: the sum of -p log p over what was drawn, as in the authors' code.

        Raises:
            EwsError: unknown form.
        """
        if form not in ENTROPIES:
            raise unknown("entropy", form, ENTROPIES, where="ews entropy")
        return self._sum(ENTROPIES[form])

    def _sum(self, measure: Measure) -> Tensor:
        # Decisions of one size are measured together: a few calls in place of one for each layer.
        groups: dict[tuple[int, int], list[Taken]] = {}
        for taken in self.taken:
            groups.setdefault((taken.logits.shape[-1], taken.count), []).append(taken)
        total = self._zero
        for (_, count), group in groups.items():
            values = measure(
                torch.stack([taken.logits for taken in group]), torch.stack([taken.order for taken in group]), count
            )
            asked = [taken.asked for taken in group]
            if any(mask is not None for mask in asked):
                ones = torch.ones_like(self._zero, dtype=torch.bool)
                values = values.where(torch.stack([ones if mask is None else mask for mask in asked]), 0.0)
            total = total + values.sum(0)
        return total


class Policy(nn.Module, ABC):
    """pi_theta: a distribution over subnets of one width.

    Per block it decides which paths are kept, then per hidden layer of a kept residual branch which channels. Where
    everything is kept there is nothing to decide: no step is taken, and nothing enters log pi or the entropy.
    """

    def __init__(self, space: SubnetSpace, kept: Sequence[Sequence[int]]) -> None:
        """Keep the space and the number of kept channels of each layer, ``space.kept_channels(width)``."""
        super().__init__()
        self.space = space
        self.kept = tuple(tuple(layers) for layers in kept)

    @abstractmethod
    def begin(self, samples: int) -> State:
        """Return the state before the first decision."""

    @abstractmethod
    def logits(self, state: State, decision: Decision) -> tuple[Tensor, State]:
        """Return the decision's logits [C, n] and the state after them."""

    def feed(self, state: State, decision: Decision, kept: Tensor) -> State:
        """Return the state after hearing what was kept, int64 [C, k]; the state itself unless overridden."""
        return state

    def draw(self, path_counts: Sequence[Sequence[int]], choose: Choose) -> Draws:
        """Take all decisions for C subnets in one batch.

        The host reads the drawn paths where a path is dropped, since that decides what is computed; otherwise
        nothing leaves the device.

        Args:
            path_counts: for each subnet the number of kept paths of each block, in 1..2.
            choose: takes one decision for all subnets.
        """
        samples = len(path_counts)
        state = self.begin(samples)
        taken: list[Taken] = []
        paths: list[list[tuple[bool, bool]]] = [[] for _ in range(samples)]
        channels: list[list[tuple[Tensor, ...]]] = [[] for _ in range(samples)]
        for b, (block, kept) in enumerate(zip(self.space.blocks, self.kept, strict=True)):
            asked = [counts[b] < PATHS for counts in path_counts]
            residual = [True] * samples
            first = [-1] * samples
            if any(asked):
                state, order = self._decide(state, Decision(b, -1, PATHS), 1, asked, choose, taken)
                first = order[:, 0].tolist()
            for c in range(samples):
                residual[c] = not asked[c] or first[c] == 0
                paths[c].append((residual[c], not asked[c] or first[c] == 1))
            rows: list[Tensor] = []
            for layer, (total, count) in enumerate(zip(block.channels, kept, strict=True)):
                if not any(residual):
                    break
                if count == total:
                    everything = torch.arange(total, device=self.device)
                    rows.append(everything.expand(samples, total))
                    continue
                state, order = self._decide(state, Decision(b, layer, total), count, residual, choose, taken)
                rows.append(order[:, :count].sort(dim=1).values)
            for c in range(samples):
                channels[c].append(tuple(row[c] for row in rows))
        subnets = [choices(of_paths, of_channels) for of_paths, of_channels in zip(paths, channels, strict=True)]
        return Draws(subnets, taken, torch.zeros(samples, device=self.device, dtype=self.dtype))

    def _decide(
        self, state: State, decision: Decision, count: int, asked: list[bool], choose: Choose, taken: list[Taken]
    ) -> tuple[State, Tensor]:
        """Take one decision; the state of subnets for which it does not arise stays as it is."""
        logits, after = self.logits(state, decision)
        order = choose(logits, count)
        after = self.feed(after, decision, order[:, :count])
        mask = None
        if not all(asked):
            mask = torch.tensor(asked, device=self.device)
            after = tuple(
                torch.where(mask.view(-1, *[1] * (new.dim() - 1)), new, old)
                for new, old in zip(after, state, strict=True)
            )
        taken.append(Taken(logits, order, count, mask))
        return after, order

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' type."""
        return next(self.parameters()).dtype


def sampler(generator: torch.Generator) -> Choose:
    """Return the chooser that draws from the policy."""
    return lambda logits, count: plackett_luce.draw(logits, generator)
