"""The optimiser and its learning rate, a pure function of the epoch."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from ews.pipeline.study.recipe_spec import Recipe


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of an epoch.

    - Warm-up: over the first w = ``warmup_epochs`` epochs it rises linearly, base (epoch + 1) / (w + 1),
      and reaches the base rate in epoch w.
    - ``step``: times ``gamma`` from each milestone on; a milestone is a share of all epochs and falls
      on the nearest whole epoch (half up): 1/3 of 400 is after 133 epochs.
    - ``cosine``: base (1 + cos(pi x)) / 2 where x runs from 0 at the end of the warm-up to 1 at the
      end of the training run, so that the last epoch's rate is just above 0.
    - ``linear``: with x = epoch / epochs and milestones a < b, shares of all epochs, the base rate to x = a, then
      base (1 - (1 - ``gamma``) (x - a) / (b - a)), and from x = b on base ``gamma``. As the code of Trinh et al.
      (2024, DAMP) has it, by epoch: 0.5, 0.9 and 0.01 there.

    Args:
        recipe: ``learning_rate``, ``epochs``, ``warmup_epochs``, ``schedule`` and, for step and linear,
            ``milestones`` and ``gamma``.
        epoch: counted from 0.
    """
    base, warmup = recipe.learning_rate, recipe.warmup_epochs
    if epoch < warmup:
        return base * (epoch + 1) / (warmup + 1)
    if recipe.schedule == "step":
        passed = sum(epoch >= math.floor(share * recipe.epochs + 0.5) for share in recipe.milestones)
        return base * recipe.gamma**passed
    if recipe.schedule == "linear":
        first, second = recipe.milestones
        fallen = (epoch / recipe.epochs - first) / (second - first)
        return base * (1 - (1 - recipe.gamma) * min(1.0, max(0.0, fallen)))
    progress = (epoch - warmup) / (recipe.epochs - warmup)
    return base * 0.5 * (1 + math.cos(math.pi * progress))


def optimiser(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with momentum; weight decay acts on all parameters, as in the paper's code.

    Args:
        parameters: the network's, then the method's own.
        recipe: ``learning_rate``, ``momentum``, ``nesterov``, ``weight_decay``.
    """
    return torch.optim.SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def step(optimizer: torch.optim.Optimizer, *, clip: float | None) -> None:
    """Clip the gradient's global 2-norm at ``clip`` (None: no clipping), step, and clear the gradients."""
    if clip is not None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
