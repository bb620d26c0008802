"""A study's overrides and variants: which combinations of values it asks for, and parameters with values replaced."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pydantic import BaseModel

from ews.core.errors import EwsError, did_you_mean, listed, shown
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.params import check_references, typed
from ews.pipeline.study.schema import Params, Study, Variant

CELLS = 2000
"""How many cells a study may have: the largest of params.yaml has 54, and each is a training run."""
NAMED = 4
"""How many keys of a section a message names."""


@dataclass(frozen=True)
class Combination:
    """One of the sets of values that a study asks for.

    Attributes:
        variant: the name of the one that gave some of them; "": none.
        varied: their key paths; empty without a variant.
        values: by key path: those of the overrides, then the variant's.
        methods: which are trained with them; None: all of the study's.
        tuned: key paths of those values that tuning tries or chose, and the entry of its grid that has them.
    """

    variant: str
    varied: frozenset[str]
    values: dict[str, Any]
    methods: tuple[str, ...] | None = None
    tuned: frozenset[str] = frozenset()
    arm: str = ""

    def of(self, method: str) -> bool:
        """Tell whether a method is trained with these values."""
        return self.methods is None or method in self.methods

    def with_tuned(self, arm: str, values: Mapping[str, Any]) -> "Combination":
        """Return these values with those that tuning gives an entry of its grid, where a variant sets no others."""
        more = {path: value for path, value in values.items() if path not in self.varied}
        return replace(self, values=self.values | more, tuned=frozenset(more), arm=arm)

    def apply(self, params: Params, study: str) -> Params:
        """Return the parameters with these values.

        Raises:
            EwsError: an unknown key, or a value that is not valid there.
        """
        where = f"params.yaml: studies.{study}"

        def given(place: str) -> str:
            """Name the key of the study that has set a key path, something below it or what it is below."""
            for paths, key in ((self.varied, f"variants.{self.variant}"), (self.tuned, f"tune.grid.{self.arm}")):
                if any(f"{path}.".startswith(f"{place}.") or f"{place}.".startswith(f"{path}.") for path in paths):
                    return f"{where}.{key}"
            return f"{where}.overrides"

        return override(params, self.values, where=given) if self.values else params


def combinations(spec: Study, params: Params, study: str) -> Iterator[Combination]:
    """Yield each combination of the swept values; where there are variants, with each of these.

    Where all variants are of some methods alone, the combinations without a variant come first: the usual rows.
    """
    choices = []
    for path, value in spec.overrides.items():
        values = value if is_sweep(value, path, params) else [value]
        where = f"params.yaml: studies.{study}.overrides.{path}"
        if not values:
            raise EwsError(f"{where}: an empty list; give at least one value.")
        if len(values) > CELLS:
            raise EwsError(f"{where}: {len(values)} values; at most {CELLS:,}.")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise EwsError(f"{where}: a value stands twice in {shown(values)}.")
        if len(values) > 1:
            _check_evaluation(path, where)
        choices.append([(path, choice) for choice in values])
    usual = all(variant.method for variant in spec.variants.values())
    for name, variant in [*([("", Variant())] if usual else []), *spec.variants.items()]:
        own = variant.values
        methods = None if variant.method is None else tuple(variant.method)
        for combination in product(*choices):
            yield Combination(name, frozenset(own), dict(combination) | own, methods)


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


def override(params: Params, overrides: Mapping[str, Any], *, where: Callable[[str], str]) -> Params:
    """Return the parameters with some values replaced; only the sections that hold them are read again, once all are.

    Args:
        params: all parameters.
        overrides: values by key path.
        where: returns of a key path where its value was given, for messages.

    Raises:
        EwsError: an unknown key, a whole section, or a value that is not valid there.
    """
    changed = dict(params)
    opened: set[str] = set()
    for path, value in overrides.items():
        *parents, last = path.split(".")
        node: Any = changed
        for place, key in enumerate(parents):
            if not isinstance(node, dict) or key not in node:
                raise EwsError(f"{where(path)}: {path!r}: no key {'.'.join(parents[: place + 1])!r} in params.yaml.")
            here = ".".join(parents[: place + 1])
            if here not in opened:
                node[key] = _opened(node[key])
                opened.add(here)
            node = node[key]
        if not isinstance(node, dict) or last not in node:
            names = list(node) if isinstance(node, dict) else []
            raise EwsError(
                f"{where(path)}: {path!r}: no such key.{did_you_mean(last, names)} Valid below {'.'.join(parents)}: "
                f"{listed(names) or 'none'}."
            )
        _check_single(path, node[last], value, where(path))
        node[last] = value
    found = typed(changed, where=where)
    check_references(found, where=_of_references(overrides, where))
    return found


def _check_single(path: str, before: Any, value: Any, where: str) -> None:
    """Refuse a whole section, where one key's value can be replaced."""
    if isinstance(before, BaseModel | dict):
        keys = list(_leaves(before, path))
        more = " and others" if len(keys) > NAMED else ""
        raise EwsError(
            f"{where}: {path} is a section, and single keys of it are replaced. Give their key paths, each with its "
            f"value: {', '.join(keys[:NAMED])}{more}."
        )
    if before is None and isinstance(value, Mapping):
        raise EwsError(
            f"{where}: {path} is null in params.yaml, and no section can be put there by a study. Give a single value; "
            f"or write the section into params.yaml and override its keys, {path}.<key>."
        )


def _leaves(node: Any, path: str) -> Iterator[str]:
    """Yield the key paths of the single values in a section."""
    if isinstance(node, BaseModel | dict):
        for key, value in dict(node).items():
            yield from _leaves(value, f"{path}.{key}")
    else:
        yield path


def _of_references(paths: Iterable[str], where: Callable[[str], str]) -> str:
    """Return where the names that refer to something else were given: teachers and sources of corrupted images."""
    places = [where(path) for path in paths if ".teachers." in path or path.endswith(".corrupted.source")]
    return (places or [where("datasets")])[-1]


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
        value = dict(value).get(key) if isinstance(value, BaseModel | dict) else None
    return value
