"""Options that a study sets and none of its rows uses, where that is easy to know: they are told of, not refused."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ews.methods.ews.ews_spec import EwsParameters
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.schema import Study
from ews.subnets.search.search_registry import SEARCHES


class _Known(NamedTuple):
    """An option that is known here: whether a cell uses it, and what to say where none does."""

    uses: Callable[[Cell], bool]
    missing: str


def idle_options(study: Study, cells: Iterable[Cell]) -> list[str]:
    """Return a sentence for each override, and each value of a variant, that no row uses; each once.

    Args:
        study: with its overrides and variants.
        cells: all that it trains, teachers included.
    """
    trained = list(cells)
    given = {f"overrides.{path}": path for path in study.overrides}
    given |= {f"variants.{name}.{path}": path for name, variant in study.variants.items() for path in variant.values}
    found = []
    for place, path in given.items():
        known = _known(path)
        if known is not None and not any(known.uses(cell) for cell in trained):
            found.append(f"{place} has no effect: {known.missing}. Leave it out.")
    return found


def _known(path: str) -> _Known | None:
    match path.split("."):
        case ["methods", "ews", "entropy"]:
            learning = " or ".join(name for name, spec in SEARCHES.items() if spec.learns)
            return _Known(_learns, f"no row's search learns (methods.ews.search: {learning})")
        case ["methods", "trades", "reward_mode"]:
            return _Known(lambda cell: {"trades", "ews"} <= set(cell.method.names), "no row has ews beside trades")
        case ["architectures", name, "softplus_beta"]:
            return _Known(lambda cell: _is_softplus(cell, name), f"architectures.{name}.activation is relu in all rows")
        case ["datasets", name, "standard", "fill"]:
            return _Known(lambda cell: _is_padded(cell, name), f"datasets.{name}.standard.padding is 0 in all rows")
    return None


def _learns(cell: Cell) -> bool:
    ews = cell.method.parameters.get("ews")
    return isinstance(ews, EwsParameters) and SEARCHES[ews.search].learns


def _is_softplus(cell: Cell, name: str) -> bool:
    return cell.architecture.name == name and cell.architecture.parameters.activation == "softplus"


def _is_padded(cell: Cell, name: str) -> bool:
    return cell.dataset == name and cell.augmentation.crop.padding > 0
