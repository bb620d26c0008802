"""AWP, adversarial weight perturbation (Wu et al., NeurIPS 2020): the gradient is taken at the worst weights nearby."""

import torch
from torch import Tensor, nn

from ews.methods.adversarial_objective import attacked
from ews.methods.awp.awp_spec import AwpParameters
from ews.methods.component import Batch, Context, Gradients, Metrics, Objective, Wrapper

# Keeps a layer without gradient unperturbed; far below any norm that occurs.
TINY = 1.0e-20


class Awp(Wrapper):
    """One step of ascent on the weights: layer l moves by v_l = gamma ||w_l|| g_l / ||g_l||.

    g is the gradient of the objective's whole loss of the full network (AT: CE on x'; TRADES: CE + beta KL) on the
    prepared batch at the present weights, in training mode. That is where the paper's single projected step ends,
    whatever its size: on the edge of the ball of radius gamma ||w_l||. No second network is needed for it.

    Perturbed are the weights of convolutions and of the linear head; not the scales and shifts of normalisations, nor
    biases. What is trained then - the full pass and the extras, so with EWS the subnet as well - has its gradient
    taken at w + v, and the weights return bit for bit before the optimiser steps (the paper's code steps first and
    subtracts v then, so that its weight decay acts on w + v). Finding v changes no running statistics; the pass at
    w + v does, as in that code.
    """

    name = "awp"

    def __init__(self, context: Context, parameters: AwpParameters) -> None:
        """Find the weights to perturb in the network of the context."""
        self.context = context
        self.gamma = parameters.gamma
        self.warmup_epochs = parameters.warmup_epochs
        self.weights: list[Tensor] = [
            module.weight for module in context.network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
        ]
        self.perturbation: list[Tensor] | None = None

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Find v on the prepared batch; no ``.grad`` and no running statistics change. Dropout's masks are its own."""
        self.perturbation = None
        if batch.epoch < self.warmup_epochs:
            return
        with attacked(self.context.network, "train"):
            loss = objective(batch).loss
            gradients = torch.autograd.grad(loss, self.weights)
        self.perturbation = [
            gradient * (self.gamma * weight.detach().norm() / (gradient.norm() + TINY))
            for weight, gradient in zip(self.weights, gradients, strict=True)
        ]

    def __call__(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Compute the gradients at w + v, and put w back."""
        if self.perturbation is None:
            return gradients(batch)
        before = [weight.detach().clone() for weight in self.weights]
        try:
            with torch.no_grad():
                for weight, change in zip(self.weights, self.perturbation, strict=True):
                    weight.add_(change)
            return gradients(batch)
        finally:
            with torch.no_grad():
                for weight, value in zip(self.weights, before, strict=True):
                    weight.copy_(value)
