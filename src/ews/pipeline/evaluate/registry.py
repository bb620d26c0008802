"""The evaluations by name; see :mod:`ews.pipeline.evaluate.base`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ews.core.registry import Registry

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluator


@dataclass(frozen=True)
class Entry:
    """An evaluation: ``implementation`` imports and returns it, and the code fingerprint follows that import."""

    name: str
    implementation: Callable[[], Evaluator]


def _clean() -> Evaluator:
    from ews.pipeline.evaluate.clean import EVALUATOR

    return EVALUATOR


def _corruption() -> Evaluator:
    from ews.pipeline.evaluate.corruption import EVALUATOR

    return EVALUATOR


def _perturbation() -> Evaluator:
    from ews.pipeline.evaluate.perturbation import EVALUATOR

    return EVALUATOR


def _adversarial() -> Evaluator:
    from ews.pipeline.evaluate.adversarial import EVALUATOR

    return EVALUATOR


def _adaptive() -> Evaluator:
    from ews.pipeline.evaluate.adaptive import EVALUATOR

    return EVALUATOR


EVALUATIONS = Registry(
    "evaluation",
    Entry("clean", _clean),
    Entry("corruption", _corruption),
    Entry("perturbation", _perturbation),
    Entry("adversarial", _adversarial),
    Entry("adaptive", _adaptive),
)
