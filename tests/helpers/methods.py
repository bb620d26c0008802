"""Components of methods as tests take them: small ones, and each registered one as the smallest method it can be."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodSpec

# What is left out has its default (helpers.science.build_method).
EWS: dict[str, Any] = {
    "name": "ews",
    "weight": 0.3,
    "width": 0.6,
    "interval": 2,
    "samples": 2,
    "hidden": 8,
    "learning_rate": 0.01,
    "entropy_bonus": 0.0,
    "baseline_decay": 0.9,
}
ATTACK: dict[str, Any] = {
    "epsilon": 8 / 255,
    "step_size": 3 / 255,
    "steps": 2,
    "validation_steps": 2,
    "validation_step_size": 2 / 255,
}
AT: dict[str, Any] = {"name": "at", **ATTACK}
TRADES: dict[str, Any] = {"name": "trades", **ATTACK}
DROPOUT: dict[str, Any] = {"name": "dropout", "rate": 0.3, "place": "hidden"}


def first_view(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the loss of the first view: an augmentation without a loss of its own."""
    return cross_entropy(logits[0], labels)


def alone() -> list[str]:
    """Return `vanilla`, and each component with the first of those that it needs beside it, if any."""
    found = [MethodSpec.VANILLA]
    for name, spec in METHODS.items():
        needed = [spec.needs.others[0]] if spec.needs else list(spec.by_objective or ())[:1]
        found.append("+".join(part for part in METHODS if part in (name, *needed)))
    return found
