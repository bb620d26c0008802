"""Whether the attacks of a study can reach their radius: those that cannot are refused, weak ones are told of."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from ews.attacks.effort import ROUNDING, Effort
from ews.methods.method_registry import METHODS
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.manifest import Asked

AMPLE = 2.0
"""Radii that the steps should reach: what the far corner of the ball is away from a start in the opposite one."""


def check_reach(cell: Cell, asked: Iterable[Asked]) -> None:
    """Refuse attacks, in training or in the test, whose steps together are shorter than their radius.

    Args:
        cell: with its overrides.
        asked: the evaluations that apply to it.

    Raises:
        EwsError: names the three keys.
    """
    for place, effort, section in _attacks(cell, asked):
        effort.check(section, where=f"params.yaml: {place}")


def weak_attacks(planned: Iterable[tuple[Cell, Iterable[Asked], Iterable[Cell]]]) -> list[str]:
    """Return a sentence for each attack whose steps reach its radius, and not twice that; each once.

    Args:
        planned: cells, the evaluations that apply to them, and the cells that they learn from.
    """
    found: dict[str, None] = {}
    for cell, asked, teachers in planned:
        attacks = [*_attacks(cell, asked), *(attack for teacher in teachers for attack in _attacks(teacher, ()))]
        for place, effort, section in attacks:
            if effort.radii(section) < AMPLE - ROUNDING:
                found[f"{place}: {effort.described(section)}; from a random start the far side is 2 away."] = None
    return list(found)


def _attacks(cell: Cell, asked: Iterable[Asked]) -> Iterator[tuple[str, Effort, BaseModel]]:
    """Yield key path, keys and values of the attacks that a cell is trained and measured with."""
    for component in cell.method.components:
        for effort in METHODS[component.name].attacks:
            yield f"methods.{component.name}", effort, component.parameters
    for one in asked:
        place = EVALUATIONS[one.kind].attacks
        if place is not None:
            yield f"evaluation.{place}", Effort(), one.options
