"""A study's overrides and variants: which combinations of values it asks for, and parameters with values replaced."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import BaseModel

from ews.core.errors import EwsError
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.params import check_references, typed
from ews.pipeline.study.schema import Params, Study


@dataclass(frozen=True)
class Combination:
    """One of the sets of values that a study asks for.

    Attributes:
        variant: the name of the one that gave some of them; "": none.
        varied: their key paths; empty without a variant.
        values: by key path: those of the overrides, then the variant's.
    """

    variant: str
    varied: frozenset[str]
    values: dict[str, Any]

    def apply(self, params: Params, study: str) -> Params:
        """Return the parameters with these values.

        Raises:
            EwsError: an unknown key, or a value that is not valid there.
        """
        where = f"params.yaml: studies.{study}"
        own = {path: value for path, value in self.values.items() if path in self.varied}
        rest = {path: value for path, value in self.values.items() if path not in self.varied}
        changed = override(params, rest, where=f"{where}.overrides") if rest else params
        return override(changed, own, where=f"{where}.variants.{self.variant}") if own else changed


def combinations(spec: Study, params: Params, study: str) -> Iterator[Combination]:
    """Yield each combination of the swept values; where there are variants, with each of these."""
    choices = []
    for path, value in spec.overrides.items():
        values = value if is_sweep(value, path, params) else [value]
        where = f"params.yaml: studies.{study}.overrides.{path}"
        if not values:
            raise EwsError(f"{where}: an empty list; give at least one value.")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise EwsError(f"{where}: a value stands twice in {values}.")
        if len(values) > 1:
            _check_evaluation(path, where)
        choices.append([(path, choice) for choice in values])
    for variant, own in (spec.variants or {"": {}}).items():
        for combination in product(*choices):
            yield Combination(variant, frozenset(own), dict(combination) | own)


def _check_evaluation(path: str, where: str) -> None:
    """Refuse a sweep over what a study has one of."""
    section, _, rest = path.partition(".")
    kind, _, key = rest.partition(".")
    if section != "evaluation" or kind not in EVALUATIONS:
        return
    spec = EVALUATIONS[kind]
    if key in spec.ways:
        raise EwsError(f"{where}: changes no result; give one value.")
    raise EwsError(f"{where}: a study has one {spec.one}; make a study for each.")


def override(params: Params, overrides: Mapping[str, Any], *, where: str) -> Params:
    """Return the parameters with some values replaced; only the sections that hold them are read again.

    Args:
        params: all parameters.
        overrides: values by key path.
        where: key path of the overrides, for messages.

    Raises:
        EwsError: an unknown key, or a value that is not valid there.
    """
    changed = dict(params)
    opened: set[str] = set()
    for path, value in overrides.items():
        *parents, last = path.split(".")
        node: Any = changed
        for place, key in enumerate(parents):
            if not isinstance(node, dict) or key not in node:
                raise EwsError(f"{where}: {path!r}: no key {'.'.join(parents[: place + 1])!r} in params.yaml.")
            here = ".".join(parents[: place + 1])
            if here not in opened:
                node[key] = _opened(node[key])
                opened.add(here)
            node = node[key]
        if not isinstance(node, dict) or last not in node:
            valid = ", ".join(node) if isinstance(node, dict) else "none"
            raise EwsError(f"{where}: {path!r}: no such key. Valid below {'.'.join(parents)}: {valid}.")
        node[last] = value
    found = typed(changed, where=where)
    check_references(found, where=where)
    return found


def is_sweep(value: Any, path: str, params: Params) -> bool:
    """Tell a list of values to sweep from one value that is a list (a list of lists sweeps such a key)."""
    if not isinstance(value, list):
        return False
    return not isinstance(_get(params, path), list | tuple) or all(isinstance(part, list) for part in value)


def _opened(node: Any) -> Any:
    """Return a section's values by key, its sections as they are; a copy of a mapping; anything else itself."""
    return dict(node) if isinstance(node, BaseModel | dict) else node


def _get(params: Params, path: str) -> Any:
    value: Any = params
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
    return value
