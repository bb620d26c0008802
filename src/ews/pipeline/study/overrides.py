"""A study's overrides: which combinations of values it sweeps, and parameters with values replaced."""

import copy
from collections.abc import Iterator
from itertools import product
from typing import Any

from ews.core.errors import EwsError
from ews.pipeline.study.params import validate
from ews.pipeline.study.schema import Params, Study


def combinations(spec: Study, raw: dict[str, Any], study: str) -> Iterator[dict[str, Any]]:
    """Yield one mapping key path -> value per combination of the swept values."""
    choices = []
    for path, value in spec.overrides.items():
        values = value if is_sweep(value, path, raw) else [value]
        where = f"params.yaml: studies.{study}.overrides.{path}"
        if not values:
            raise EwsError(f"{where}: an empty list; give at least one value.")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise EwsError(f"{where}: a value stands twice in {values}.")
        if len(values) > 1 and path == "evaluation.corruption.stored":
            raise EwsError(f"{where}: changes no result; give one value.")
        for kind in ("corruption", "perturbation"):
            if len(values) > 1 and path.startswith(f"evaluation.{kind}."):
                raise EwsError(f"{where}: a study has one list of {kind}s; make a study for each.")
        if len(values) > 1 and path.startswith(("evaluation.adversarial.", "evaluation.adaptive.")):
            raise EwsError(f"{where}: a study has one adversary; make a study for each.")
        choices.append([(path, choice) for choice in values])
    for combination in product(*choices):
        yield dict(combination)


def override(raw: dict[str, Any], overrides: dict[str, Any], study: str) -> Params:
    """Return the parameters with some values replaced, validated again."""
    changed = copy.deepcopy(raw)
    where = f"params.yaml: studies.{study}.overrides"
    for path, value in overrides.items():
        *parents, last = path.split(".")
        node: Any = changed
        for place, key in enumerate(parents):
            if not isinstance(node, dict) or key not in node:
                raise EwsError(f"{where}: {path!r}: no key {'.'.join(parents[: place + 1])!r} in params.yaml.")
            node = node[key]
        if not isinstance(node, dict) or last not in node:
            valid = ", ".join(node) if isinstance(node, dict) else "none"
            raise EwsError(f"{where}: {path!r}: no such key. Valid below {'.'.join(parents)}: {valid}.")
        node[last] = value
    return validate(changed, where=where)


def is_sweep(value: Any, path: str, raw: dict[str, Any]) -> bool:
    """Tell a list of values to sweep from one value that is a list (a list of lists sweeps such a key)."""
    if not isinstance(value, list):
        return False
    return not isinstance(_get(raw, path), list) or all(isinstance(part, list) for part in value)


def _get(raw: dict[str, Any], path: str) -> Any:
    value: Any = raw
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
