"""Self-distillation: a network learns from an average of its own weights, as a subnet of EWS from the network."""

import copy
from typing import Any

import torch
from torch import Tensor

from ews.methods.component import Batch, Context, Extra, Metrics, Objective, Pass
from ews.methods.self_distillation.self_distillation_spec import SelfDistillationParameters
from ews.models.network import Network
from ews.subnets.distil import distillation


class SelfDistillation(Extra):
    """loss + lambda * KL(average || network): EWS's term with another teacher and without a subnet.

    It is the control that tells EWS's subnets from soft targets as such [choice]: the divergence, its direction, its
    mean over examples, its weight and the pass that it costs are EWS's; what learns is the whole network in place of a
    subnet, and since a network learns nothing from its own answer, the teacher is the exponential moving average of
    its weights, as in Mean Teacher (Tarvainen and Valpola 2017).

    In iteration t = 1, 2, ... of the whole training, before the full pass, the average moves by
    1 - min(decay, 1 - 1/t) towards the weights: at first it is their plain mean. Running statistics are averaged with
    the weights. The teacher answers in evaluation mode, without dropout. The network normalises by the batch, leaves
    its running statistics alone and drops nothing, as a subnet's pass does.
    """

    name = "self_distillation"

    def __init__(self, context: Context, parameters: SelfDistillationParameters) -> None:
        """Copy the network of the context."""
        self.context = context
        self.weight = parameters.weight
        self.decay = parameters.decay
        self.teacher: Network = copy.deepcopy(context.network).eval().requires_grad_(False)
        self.everything = context.network.space.everything(device=context.device)

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Move the average towards the weights as they are before this iteration's step."""
        rate = 1 - min(self.decay, 1 - 1 / batch.iteration)
        current = self.context.network.state_dict()
        with torch.no_grad():
            for name, value in self.teacher.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(current[name], rate)
                else:
                    value.copy_(current[name])

    def gradients(self, batch: Batch, full: Pass) -> Metrics:
        """Add the gradient of lambda times the divergence, one backward per target."""
        total = torch.zeros((), device=self.context.device)
        for target in full.targets:
            images = target.images.flatten(0, 1)
            logits = self.context.logits(images, self.everything)
            term = target.weight * distillation(
                logits, self._taught(images), target.labels, loss="kl", reduction="batchmean"
            )
            (self.weight * term).backward()
            total = total + term.detach()
        return {"distillation": total}

    def _taught(self, images: Tensor) -> Tensor:
        """Return the average's logits of images [B, 3, H, W]."""
        with torch.no_grad():
            if self.context.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            with self.context.autocast():
                logits: Tensor = self.teacher(images)
        return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"teacher": self.teacher.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.teacher.load_state_dict(state["teacher"])
