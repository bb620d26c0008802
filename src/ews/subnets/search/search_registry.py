"""The search strategies: how a subnet is found (paper, section 3.2 and Table 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ews.core.registry import Registry

if TYPE_CHECKING:
    from ews.subnets.search.search import Search


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """A search strategy.

    Attributes:
        name: the value of ``search`` in params.yaml.
        summary: a line for documentation.
        implementation: imports and returns its class. The code fingerprint of a cell follows the imports in this
            function's body.
        learns: whether it learns a policy, of which parameters such as ``entropy`` speak.
    """

    name: str
    summary: str
    implementation: Callable[[], type[Search]]
    learns: bool = False


def _learned() -> type[Search]:
    from ews.subnets.search.learned import Learned

    return Learned


def _random() -> type[Search]:
    from ews.subnets.search.random import Random

    return Random


def _l1_norm() -> type[Search]:
    from ews.subnets.search.l1_norm import L1Norm

    return L1Norm


def _gradient() -> type[Search]:
    from ews.subnets.search.gradient import Gradient

    return Gradient


def _bandit() -> type[Search]:
    from ews.subnets.search.bandit import Bandit

    return Bandit


SEARCHES = Registry(
    "search",
    SearchSpec(
        name="learned",
        summary="the paper's controller, learned by policy gradient",
        implementation=_learned,
        learns=True,
    ),
    SearchSpec(name="random", summary="every subset alike", implementation=_random),
    SearchSpec(name="l1_norm", summary="the smallest weights are kept", implementation=_l1_norm),
    SearchSpec(name="gradient", summary="what matters least to the loss is kept", implementation=_gradient),
    SearchSpec(
        name="bandit",
        summary="the same policy gradient on independent logits",
        implementation=_bandit,
        learns=True,
    ),
)
