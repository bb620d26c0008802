"""A network that reads the class of grey images off their brightness, and attacks on it in a process of its own."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ews.attacks import ensemble
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.architecture_specs import ArchitectureParameters, ArchitectureSpec
from ews.models.network import Head
from ews.pipeline.evaluate.adversarial import shards
from ews.pipeline.evaluate.evaluate_command import main

GREY = 60
"""Brightness of class c is GREY * c."""


class RulerParameters(ArchitectureParameters):
    """None."""

    stages: ClassVar[int] = 0
    network: Literal["ruler"] = "ruler"


class Ruler(nn.Module):
    """Predicts the class whose brightness is nearest; ``shift``, a weight, moves predictions by so many classes."""

    def __init__(self, parameters: RulerParameters, head: Head) -> None:
        super().__init__()
        self.classes = head.classes
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        distance = x.mean((1, 2, 3))[:, None] * 255 / GREY + self.shift - torch.arange(self.classes, device=x.device)
        return -10 * distance.abs()


def implementation() -> Any:
    return Ruler


RULER = ArchitectureSpec(name="ruler", summary="", parameters=RulerParameters, implementation=implementation)


class Quick(ensemble.AutoAttack):  # type: ignore[misc]
    """AutoAttack with a tenth of the iterations."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for attack in (self.apgd, self.apgd_targeted):
            attack.n_iter = attack.n_iter_orig = 10
        self.fab.n_iter = 10
        self.square.n_queries = 100


def attack(words: list[str]) -> None:
    """Run ``ews evaluate`` with this network and :class:`Quick` in shards of 20; for a process of its own."""
    ARCHITECTURES.entries["ruler"] = RULER
    ensemble.AutoAttack, shards.SHARD = Quick, 20
    main(words)
