"""Whether the attacks of a study can reach their radius: those that cannot are refused, weak ones are told of."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from ews.attacks.effort import Effort
from ews.core.errors import EwsError
from ews.core.levels import as_levels
from ews.methods.method_registry import METHODS
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.manifest import Asked

AMPLE = 2.0
"""Radii that the steps should reach: what the far corner of the ball is away from a start in the opposite one."""
ROUNDING = 1e-9
"""Four steps of 2/255 reach 8/255, whatever floating point makes of it."""


def check_reach(cell: Cell, asked: Iterable[Asked]) -> None:
    """Refuse attacks, in training or in the test, whose steps together are shorter than their radius.

    Args:
        cell: with its overrides.
        asked: the evaluations that apply to it.

    Raises:
        EwsError: names the three keys.
    """
    for place, effort, section in _attacks(cell, asked):
        if effort.radii(section) < 1 - ROUNDING:
            raise EwsError(
                f"params.yaml: {_described(place, effort, section)}: the attack cannot reach its radius. Raise "
                f"{effort.steps} or {effort.step_size}; valid: a product of {effort.epsilon} at least, usual: 2 to 3 "
                "times that."
            )


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
                found[f"{_described(place, effort, section)}; from a random start the far side is 2 away."] = None
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


def _described(place: str, effort: Effort, section: BaseModel) -> str:
    radius, step = (as_levels(getattr(section, key)) for key in (effort.epsilon, effort.step_size))
    steps = getattr(section, effort.steps)
    return (
        f"{place}: {effort.steps} = {steps} times {effort.step_size} = {step} is {effort.radii(section):.3g} times "
        f"{effort.epsilon} = {radius}"
    )
