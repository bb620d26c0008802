"""EWS, enhancing weak subnets (Guo et al. 2022): find a subnet that does badly and distil the full network into it."""

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ews.core.seeds import torch_stream
from ews.methods.component import Batch, Context, Extra, Metrics, Objective, Pass, Table, error
from ews.methods.ews.ews_spec import EwsParameters
from ews.models.norm import running_statistics
from ews.models.subnet import Subnet
from ews.subnets.distil import distillation
from ews.subnets.search import build

LOG = (
    "iteration",
    "epoch",
    "reward",
    "baseline",
    "entropy",
    "loss",
    "gradient_norm",
    "subnet_accuracy",
    "full_accuracy",
)
COUNTS = ("block", "layer", "channel", "kept", "subnets")
MARGIN = 1e-6
"""Taken from a number of images before rounding up: floating point may be above a whole product, by less."""


def part_of(images: int, fraction: float) -> int:
    """Return how many of a batch's images a fraction in (0, 1] is: rounded up, at least 1.

    A product that is whole stays itself: 0.07 * 100 is 7.000000000000001 in floating point, and 7 images here.
    """
    return max(1, math.ceil(images * fraction - MARGIN))


class Ews(Extra):
    """Algorithm 1 and Eq. (2): loss + lambda * KL(full || subnet), the full network a detached teacher.

    In iteration t = 1, 2, ... of the whole training:

    1. if t mod K = 0, the search improves on the accuracy of C subnets on the current batch (on view
       0 of it [choice]), measured without autograd and before the weights change;
    2. a subnet is sampled;
    3. after the full network's backward, the subnet's own pass adds lambda times its distillation
       term: all views in one pass, the term averaged over the views as in the released code.

    The subnet normalises with the statistics of the batch and leaves the running ones alone; those that are rewarded
    normalise by the running ones where the objective says so (``reward_mode``: TRADES, as released). The sign
    follows Eq. (1), which minimises accuracy; line 7 of Algorithm 1 as printed ascends it.
    """

    name = "ews"

    def __init__(self, context: Context, parameters: EwsParameters) -> None:
        """Build the search.

        Args:
            context: the network and the seed.
            parameters: ``rounding`` and ``width`` as :mod:`ews.models.space` has them. The part of the batch that
                ``batch_fraction`` leaves is its first images: the batch's order is random, extra images included.
                Rewards use the whole batch.
        """
        self.context = context
        self.weight = parameters.weight
        self.interval = parameters.interval
        self.loss = parameters.distillation
        self.reduction = parameters.reduction
        self.batch_fraction = parameters.batch_fraction
        self.search = build(parameters.search, context.network, parameters, device=context.device, seed=context.seed)
        self._kept = [
            [torch.zeros(channels, dtype=torch.int64, device=context.device) for channels in block.channels]
            for block in self.search.space.blocks
        ]
        self._subnets = 0
        self._log = torch.empty(0, len(LOG), dtype=torch.float64)
        self._recent: list[tuple[int, int, Tensor]] = []
        self._update: tuple[Batch, dict[str, Tensor]] | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Restart the stream of subnets: a function of (seed, epoch)."""
        self._generator = torch_stream(self.context.seed, "subnets", epoch, device=self.context.device)

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Update the search every K-th iteration, then sample the subnet to enhance."""
        if batch.iteration % self.interval == 0:
            images = objective.reward_input(batch)

            def reward(subnets: list[Subnet]) -> Tensor:
                by_batch = objective.reward_mode == "train"
                with torch.no_grad(), nullcontext() if by_batch else running_statistics(self.context.network):
                    logits = [self.context.logits(images, subnet) for subnet in subnets]
                return torch.stack([1 - error(answer, batch.labels) for answer in logits])

            row = self.search.update(reward, self._generator)
            self._update = (batch, row) if row else None
        self.subnet = self.search.sample(self._generator)
        self._count(self.subnet)

    def gradients(self, batch: Batch, full: Pass) -> Metrics:
        """Add the gradient of lambda times the distillation term, one backward per target."""
        self.search.observe()
        self._finish_row(full)
        total = torch.zeros((), device=self.context.device)
        for target in full.targets:
            images = part_of(len(target.labels), self.batch_fraction)
            views = len(target.images)
            logits = self.context.view_logits(target.images[:, :images], self.subnet)
            term = target.weight * distillation(
                logits.flatten(0, 1),
                target.logits[:, :images].flatten(0, 1),
                target.labels[:images].repeat(views),
                loss=self.loss,
                reduction=self.reduction,
            )
            (self.weight * term).backward()
            total = total + term.detach()
        return {"distillation": total}

    def state_dict(self) -> dict[str, Any]:
        """Return the search, the counts and the log."""
        self._flush()
        return {"search": self.search.state_dict(), "kept": self._kept, "subnets": self._subnets, "log": self._log}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.search.load_state_dict(state["search"])
        self._kept = [[counts.to(self.context.device) for counts in block] for block in state["kept"]]
        self._subnets = state["subnets"]
        self._log = state["log"]

    def tables(self) -> dict[str, Table]:
        """Return ``controller.csv``, a row per update, and ``kept.csv``, a row per hidden channel.

        ``controller.csv``: iteration and epoch from 1; reward: mean accuracy of the C subnets, which
        the search lowers; baseline as subtracted; entropy in nats, of the form in use
        (``selected`` or ``draw``); loss; gradient norm before clipping; accuracies of the subnets and
        of the full network (in its own training mode) on the same batch. ``kept.csv``: block, layer and
        channel from 0; kept: in how many of the ``subnets`` that were distilled.
        """
        self._flush()
        rows = []
        for values in self._log.tolist():
            # As short as tells float32 values apart.
            short = (float(str(np.float32(value))) for value in values[2:])
            rows.append(dict(zip(LOG, (int(values[0]), int(values[1]), *short), strict=True)))
        kept = [
            dict(zip(COUNTS, (b, layer, channel, times, self._subnets), strict=True))
            for b, block in enumerate(self._kept)
            for layer, counts in enumerate(block)
            for channel, times in enumerate(counts.tolist())
        ]
        return {"controller.csv": Table(LOG, rows), "kept.csv": Table(COUNTS, kept)}

    def _count(self, subnet: Subnet) -> None:
        self._subnets += 1
        for counts, choice in zip(self._kept, subnet.blocks, strict=True):
            # A dropped branch lists no layers: none of its channels is kept.
            for layer, indices in enumerate(choice.channels):
                counts[layer][indices] += 1

    def _finish_row(self, full: Pass) -> None:
        """Add the full network's accuracy, known only after its pass, to this iteration's log row."""
        if self._update is None:
            return
        batch, row = self._update
        self._update = None
        last = full.targets[-1]
        values = [row[name] for name in LOG[2:-2]]
        values += [row["reward"], 1 - error(last.logits[0], last.labels)]
        self._recent.append((batch.iteration, batch.epoch + 1, torch.stack([value.float() for value in values])))

    def _flush(self) -> None:
        """Bring the recent rows to the host, once per epoch: no step waits for it."""
        if self._recent:
            values = torch.stack([row for _, _, row in self._recent]).cpu().double()
            places = torch.tensor([[i, e] for i, e, _ in self._recent], dtype=torch.float64)
            self._log = torch.cat([self._log, torch.cat([places, values], dim=1)])
            self._recent = []
