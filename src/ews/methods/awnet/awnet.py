"""AW-Net's training (Wei and Zhao, arXiv 2306.03430): two teachers in the way of MTARD, and the router's types.

Source: the network is :mod:`ews.models.awnet.awnet`. That its loss is the router's cross-entropy and adversarial
distillation like MTARD's is read off the paper's figures; it has no public code. MTARD (Zhao et al., ECCV 2022, by
AW-Net's authors and others) is as in that paper's code. Equations and what is chosen here are in :class:`Awnet`.
"""

from collections import deque
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ews.core.errors import EwsError
from ews.methods.adversarial_objective import ADVERSARIAL, Adversarial
from ews.methods.awnet.awnet_spec import AwnetParameters
from ews.methods.component import Batch, Context, Pass, Target, error
from ews.models.awnet.awnet import router_of, routing, settle
from ews.subnets.distil import kl_divergence

ROLES = ("clean", "robust")
"""The teachers: of clean images and of adversarial ones."""
TINY = 1.0e-12
"""Keeps shares of losses finite where a student equals its teachers."""
RECENT = 1024
"""On how many images at least, of both types, the router's statistics are estimated after an epoch."""


class Awnet(Adversarial):
    """d (w_adv KL(T_robust(x') || S(x')) + w_nat KL(T_clean(x) || S(x))) + c CE(types); the weights follow the losses.

    - x' is found by PGD on the cross-entropy with the labels on the whole network, router included. MTARD: 10 steps
      of 2/255 within 8/255, in evaluation mode, from x + 0.001 z, which is not clamped before the first step; here
      ``start``, uniform or that. In mode ``eval`` the attacked network is the one that is tested: it judges the types
      itself, and its judgement is attacked too. In mode ``train`` all images of the attack are taken for adversarial,
      so that only the filters' scales lead back to the router.
    - d is ``divergence_weight``, the divergences are means over examples. MTARD averages over classes as well, and
      multiplies by 10 on CIFAR-100: d = 0.1 on both CIFARs. It adds 1e-5 to the teacher's probability in its logarithm,
      which has no gradient and moves a divergence by at most 1e-5 for each class; here nothing is added.
    - The weights begin at 1/2. After each step r = L / L(first step) for both divergences and
      w_nat <- w_nat - rate (w_nat - r_nat / (r_nat + r_adv)), w_adv = 1 - w_nat: what has fallen less weighs more.
      ``rate`` is multiplied by the learning rate's share of its largest value [choice], which for steps of the learning
      rate is MTARD's tenth at each. d does not matter here. The new weights act from the next step on [choice], where
      MTARD's act in the same one: so a step has the same weights wherever a wrapper calls this loss more than once;
      then L is the mean over the calls, by images.
    - x and x' run through the network as one batch: each type is normalised by its own branch, and the router by both
      types together, as in the test, where it does not know them [choice].
    - After each epoch the router's running statistics are replaced by those of the last :data:`RECENT` images and more,
      x and x', at its present weights [choice]. What tells the types apart is small beside what a running mean lags
      behind, or takes from an epoch's last, small batch: without this a router that is right in training was found to
      take all clean images for adversarial in the test (docs/methods.md).
    - c, the weight of the mean cross-entropy of the type head over x and x', is a parameter [choice]; MTARD has no
      such term. What counts beside the learning rate is c / d.

    Labels act through x' alone: the recipe's label smoothing has no effect. Of an augmentation with several views all
    are attacked and distilled, and its own loss over the views is left out [choice].
    """

    name = "awnet"

    def __init__(self, context: Context, parameters: AwnetParameters) -> None:
        """Keep the parameters.

        Args:
            context: the network, with a router, and the teachers of :data:`ROLES`.
            parameters: see :class:`ews.methods.adversarial_objective.Adversarial`, too.

        Raises:
            EwsError: no router, or a teacher is missing.
        """
        super().__init__(context, parameters)
        if router_of(context.network) is None:
            raise EwsError("method awnet: the network has no router; the cell's architecture needs `dynamic: awnet`.")
        if not set(ROLES) <= set(context.teachers):
            raise EwsError(f"method awnet: needs the teachers {' and '.join(ROLES)}, not {sorted(context.teachers)}.")
        self.weight_rate = parameters.weight_rate
        self.start = parameters.start
        self.divergence_weight = parameters.divergence_weight
        self.type_weight = parameters.type_weight
        self.teachers = {role: context.teachers[role] for role in ROLES}
        # Of the losses (clean, robust): their weights, their first values, and of this step the sums over images.
        self._weights = torch.full((2,), 0.5, dtype=torch.float64, device=context.device)
        self._first: Tensor | None = None
        self._sums: Tensor | None = None
        self._images = 0
        self._rate = 0.0
        # What the router saw in the last steps of the epoch: pairs (x, x').
        self._recent: deque[tuple[Tensor, Tensor]] = deque()

    def begin_epoch(self, epoch: int) -> None:
        """Restart the stream of starts, after the last epoch's last losses have moved the weights."""
        self._move()
        super().begin_epoch(epoch)
        self._rate = self.weight_rate * self.context.schedule(epoch)

    def end_epoch(self) -> None:
        """Estimate the router's statistics anew."""
        if self._recent:
            settle(self.context.network, torch.cat([part for pair in self._recent for part in pair]))
        self._recent.clear()

    def prepare(self, batch: Batch) -> Batch:
        """Move the weights by the last step's losses; add x' and what the teachers say of x and x'."""
        self._move()
        batch = super().prepare(batch)
        self._recent.append((batch.images.flatten(0, 1), batch.extra[ADVERSARIAL].flatten(0, 1)))
        while 2 * sum(len(clean) for clean, _ in list(self._recent)[1:]) >= RECENT:
            self._recent.popleft()
        shown = {"clean": batch.images, "robust": batch.extra[ADVERSARIAL]}
        return replace(batch, extra=batch.extra | {role: self._teach(role, images) for role, images in shown.items()})

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return x' [B, 3, H, W] of the whole network in its present mode."""
        with routing(self.context.network, clean=0):
            return self.ascend(images, labels, start=self.start, clamp_start=self.start == "uniform")

    def __call__(self, batch: Batch) -> Pass:
        """Run the network on x and x' as one batch."""
        attacked = batch.extra[ADVERSARIAL]
        shape = batch.images.shape[:2]
        count = shape.numel()
        with routing(self.context.network, clean=count) as call:
            logits = self.context.logits(torch.cat([batch.images.flatten(0, 1), attacked.flatten(0, 1)]))
        assert call.types is not None
        clean, robust = logits.split(count)
        losses = torch.stack(
            [
                kl_divergence(batch.extra["clean"].flatten(0, 1), clean).mean(),
                kl_divergence(batch.extra["robust"].flatten(0, 1), robust).mean(),
            ]
        )
        kinds = (torch.arange(2 * count, device=logits.device) >= count).long()
        # In float32 at least, as all losses; autocast leaves the router's answer in bfloat16.
        types = F.cross_entropy(call.types.to(logits.dtype), kinds)
        weights = self._weights.clone()
        loss = self.divergence_weight * (weights.to(losses) * losses).sum() + self.type_weight * types
        self._count(losses.detach(), count)
        found = {role: answer.detach().unflatten(0, shape) for role, answer in (("clean", clean), ("robust", robust))}
        metrics = {
            "clean_error": error(found["clean"][0], batch.labels),
            "clean_divergence": losses[0].detach(),
            "robust_divergence": losses[1].detach(),
            "type_error": error(call.types.detach(), kinds),
            "clean_weight": weights[0],
        }
        targets = [
            Target(batch.images, found["clean"], batch.labels),
            Target(attacked, found["robust"], batch.labels),
        ]
        return Pass(loss=loss, targets=targets, metrics=metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights after the last step, and the first step's losses."""
        self._move()
        return {"weights": self._weights, "first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._weights = state["weights"].to(self.context.device)
        self._first = None if state["first"] is None else state["first"].to(self.context.device)
        self._sums, self._images = None, 0

    def _teach(self, role: str, images: Tensor) -> Tensor:
        """Return a teacher's logits [V, B, classes] on images [V, B, 3, H, W], without a graph."""
        flat = images.flatten(0, 1)
        if self.context.channels_last:
            flat = flat.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), self.context.autocast():
            logits: Tensor = self.teachers[role](flat)
        return logits.unflatten(0, images.shape[:2])

    def _count(self, losses: Tensor, images: int) -> None:
        """Remember a pass's mean losses [2] for the weights of the next step; the host waits for nothing."""
        sums = images * losses.double()
        self._sums = sums if self._sums is None else self._sums + sums
        self._images += images

    def _move(self) -> None:
        """Let the losses counted since the last time move the weights."""
        if self._sums is None:
            return
        losses = self._sums / self._images
        self._sums, self._images = None, 0
        if self._first is None:
            self._first = losses.clamp(min=TINY)
        relative = losses / self._first
        share = relative[0] / relative.sum().clamp(min=TINY)
        clean = self._weights[0] - self._rate * (self._weights[0] - share)
        self._weights = torch.stack([clean, 1 - clean])
