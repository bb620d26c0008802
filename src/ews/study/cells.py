"""Studies to cells: the cross product with its overrides, resolved and named."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ews.errors import EwsError
from ews.study.methods import VANILLA, components, objective
from ews.study.naming import canonical, differences, flatten, run_path, spell, tagged
from ews.study.params import validate
from ews.study.schema import ByObjective, Methods, Params, Study

# What a kind of training is called under `recipes`; a component that brings its own kind is added here.
KINDS: dict[str, str] = {"at": "adversarial", "trades": "adversarial"}
# Components whose parameters are given by objective.
BY_OBJECTIVE = {
    name
    for name, entry in Methods.model_fields.items()
    if isinstance(entry.annotation, type) and issubclass(entry.annotation, ByObjective)
}
GENERATED, OFFICIAL = "generated", "official"


@dataclass(frozen=True)
class Planned:
    """One cell of one study.

    Attributes:
        run: folder below results/runs.
        cell: resolved parameters, JSON types only.
        evaluation: subfolder of the run for evaluation settings that differ from the defaults; "" for the defaults.
        settings: resolved evaluation settings: those of `evaluation`, and `corrupted.source` of the dataset.
        label: dataset, architecture, augmentation and method as tables name them.
        differs: the parameters that are not the defaults, which a hash in the folder's name stands for.
        stored: whether corrupted images are read from disk (official ones always are) or made while they are measured;
            no result depends on it.
    """

    run: str
    cell: dict[str, Any]
    evaluation: str
    settings: dict[str, Any]
    label: dict[str, str]
    differs: dict[str, Any]
    stored: bool

    @property
    def results(self) -> str:
        """Folder of the evaluations below results/runs."""
        return f"{self.run}/{self.evaluation}" if self.evaluation else self.run


def plan(params: Params, study: str) -> list[Planned]:
    """Return the cells of a study, each once, in the order of its axes.

    Raises:
        EwsError: an override names an unknown key, has a bad value, or touches no cell of the study.
    """
    spec = params.studies[study]
    raw = params.model_dump()
    planned: dict[str, Planned] = {}
    touched: set[str] = set()
    for overrides in _combinations(spec, raw, study):
        changed = _override(raw, overrides, study) if overrides else params
        for dataset, architecture, augmentation, method, seed in _axes(spec, params):
            names = (dataset, architecture, augmentation, method, seed)
            cell, default = _resolve(changed, *names), _resolve(params, *names)
            settings = _settings(changed, changed.datasets[dataset].corrupted.source)
            # Official images are told apart from generated ones even where params.yaml makes them the default.
            evaluation = differences(_flat(settings), _flat(_settings(params, GENERATED)))
            swept = {path: value for path, value in overrides.items() if _touches(path, cell)}
            touched |= set(swept)
            sweep = {path: value for path, value in swept.items() if _is_sweep(spec.overrides[path], path, raw)}
            entry = Planned(
                run=run_path(cell, default),
                cell=cell,
                evaluation=tagged("eval", evaluation) if evaluation else "",
                settings=settings,
                label={
                    "dataset": dataset,
                    "architecture": architecture,
                    "augmentation": augmentation,
                    "method": ", ".join([method, *(f"{_short(path)}={spell(value)}" for path, value in sweep.items())]),
                },
                differs=differences(flatten(cell), flatten(default)),
                stored=changed.evaluation.corruption.stored or settings["corrupted"]["source"] == OFFICIAL,
            )
            _place(planned, entry, f"params.yaml: studies.{study}")
    for path in spec.overrides:
        if path not in touched:
            raise EwsError(f"params.yaml: studies.{study}.overrides: {path!r} changes no cell of this study.")
    return list(planned.values())


def manifest(params: Params, study: str) -> dict[str, Any]:
    """Return what the reports need to know of a study: results/<study>/study.json."""
    spec = params.studies[study]
    cells = plan(params, study)
    settings = cells[0].settings
    imagenet = [name for name in spec.dataset if params.datasets[name].corrupted.profile == "imagenet"]
    return {
        "study": study,
        "title": spec.title,
        "evaluations": list(spec.evaluations),
        "corruptions": list(settings["corruption"]["names"]),
        "test_images": settings["test_images"],
        # Only where they matter, so that the manifests of other studies stay as they are.
        **({"perturbations": list(settings["perturbation"]["names"])} if "perturbation" in spec.evaluations else {}),
        **({"imagenet": imagenet} if imagenet else {}),
        **({"adversarial": settings["adversarial"]} if "adversarial" in spec.evaluations else {}),
        "cells": [
            {
                "run": entry.run,
                "evaluation": entry.evaluation,
                "label": entry.label,
                "seed": entry.cell["seed"],
                "cell": entry.cell,
                "differs": entry.differs,
                # Only where it is not the rule, so that the manifests of other studies stay as they are.
                **({"corrupted": OFFICIAL} if entry.settings["corrupted"]["source"] == OFFICIAL else {}),
            }
            for entry in cells
        ],
    }


def all_cells(params: Params) -> dict[str, Planned]:
    """Return every study's cells by results folder; the same cell of two studies stands once.

    Where one of them stores no corrupted images, it stands without.

    Raises:
        EwsError: two different cells would share a folder.
    """
    found: dict[str, Planned] = {}
    runs: dict[str, str] = {}
    for study in params.studies:
        for entry in plan(params, study):
            _place(found, entry, f"params.yaml: studies.{study}")
            if not entry.stored:
                found[entry.results] = entry
            content = canonical(entry.cell)
            if runs.setdefault(entry.run, content) != content:
                raise EwsError(f"params.yaml: studies.{study}: two different cells would share {entry.run}.")
    return found


def check_sizes(params: Params, planned: Iterable[Planned], sizes: Mapping[str, tuple[int | None, int | None]]) -> None:
    """Refuse subsets larger than what they are taken from, before anything is downloaded or trained.

    Args:
        params: for the datasets' sources and validation shares.
        planned: cells of any studies.
        sizes: source -> numbers of its training and test images; None where the manifest has none.

    Raises:
        EwsError: a subset is too large.
    """
    for entry in planned:
        dataset = params.datasets[entry.cell["dataset"]]
        train, test = sizes[dataset.source]
        kept = None if train is None else train - round(train * dataset.validation)
        wanted = {
            "recipe train_images": (entry.cell["recipe"]["train_images"], kept),
            "evaluation.test_images": (entry.settings["test_images"], test),
            "evaluation.adversarial.autoattack.n_examples": (
                entry.settings["adversarial"]["autoattack"]["n_examples"],
                test if entry.settings["test_images"] is None else entry.settings["test_images"],
            ),
        }
        for key, (value, available) in wanted.items():
            if value is not None and available is not None and value > available:
                raise EwsError(f"params.yaml: {entry.results}: {key} = {value}: at most {available} images are there.")


def _place(planned: dict[str, Planned], entry: Planned, where: str) -> None:
    """Add a cell to those by results folder; the same one again is no other."""
    other = planned.setdefault(entry.results, entry)
    if canonical([other.cell, other.settings]) != canonical([entry.cell, entry.settings]):
        raise EwsError(f"{where}: two different cells would share {entry.results}.")


def _axes(spec: Study, params: Params) -> Iterator[tuple[str, str, str, str, int]]:
    for dataset in spec.dataset:
        architectures = spec.architecture or [params.datasets[dataset].architecture]
        seeds = params.seeds if spec.seed is None else spec.seed
        yield from product([dataset], architectures, spec.augmentation, spec.method, seeds)


def _resolve(
    params: Params, dataset: str, architecture: str, augmentation: str, method: str, seed: int
) -> dict[str, Any]:
    """Spell out everything that decides what one training does."""
    names = components(method)
    if "rst" in names and params.datasets[dataset].extra is None:
        raise EwsError(
            f"params.yaml: datasets.{dataset} has no `extra`, and {method} needs extra images (docs/adversarial.md)."
        )
    return {
        "dataset": dataset,
        "architecture": {"name": architecture, **params.architectures[architecture].model_dump()},
        "augmentation": {
            "name": augmentation,
            **params.datasets[dataset].standard.model_dump(),
            **getattr(params.augmentations, augmentation).model_dump(),
        },
        "method": {
            "name": method if names else VANILLA,
            "components": [{"name": name, **_section(params, name, names)} for name in names],
        },
        "recipe": _recipe(params, dataset, names),
        "seed": seed,
    }


def _section(params: Params, name: str, names: list[str]) -> dict[str, Any]:
    """Return a component's parameters; of one that has them by objective, those of the method's."""
    section = getattr(params.methods, name)
    if isinstance(section, ByObjective):
        section = getattr(section, objective(names) or "")
    values: dict[str, Any] = section.model_dump()
    return values


def _recipe(params: Params, dataset: str, names: list[str]) -> dict[str, Any]:
    kind = _kind(names)
    recipe = getattr(params.recipes[dataset], kind)
    if recipe is None:
        raise EwsError(f"params.yaml: recipes.{dataset} has no entry {kind!r}, which {'+'.join(names)} needs; add one.")
    values: dict[str, Any] = recipe.model_dump()
    return values


def _settings(params: Params, source: str) -> dict[str, Any]:
    """Spell out everything that decides how a trained network is measured."""
    return {**params.evaluation.model_dump(exclude={"corruption": {"stored"}}), "corrupted": {"source": source}}


def _kind(names: list[str]) -> str:
    """Return the kind of training, a key below recipes.<dataset>, that a method's components ask for."""
    return next((KINDS[name] for name in names if name in KINDS), "standard")


def _combinations(spec: Study, raw: dict[str, Any], study: str) -> Iterator[dict[str, Any]]:
    """Yield one mapping key path -> value per combination of the swept values."""
    choices = []
    for path, value in spec.overrides.items():
        values = value if _is_sweep(value, path, raw) else [value]
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
        if len(values) > 1 and path.startswith("evaluation.adversarial."):
            raise EwsError(f"{where}: a study has one adversary; make a study for each.")
        choices.append([(path, choice) for choice in values])
    for combination in product(*choices):
        yield dict(combination)


def _is_sweep(value: Any, path: str, raw: dict[str, Any]) -> bool:
    """Tell a list of values to sweep from one value that is a list (a list of lists sweeps such a key)."""
    if not isinstance(value, list):
        return False
    return not isinstance(_get(raw, path), list) or all(isinstance(part, list) for part in value)


def _get(raw: dict[str, Any], path: str) -> Any:
    value: Any = raw
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _override(raw: dict[str, Any], overrides: dict[str, Any], study: str) -> Params:
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


def _touches(path: str, cell: dict[str, Any]) -> bool:
    """Tell whether an override can change a cell: its section must be one that the cell uses."""
    names = [component["name"] for component in cell["method"]["components"]]
    used = [
        "evaluation",
        f"datasets.{cell['dataset']}.corrupted",
        f"recipes.{cell['dataset']}.{_kind(names)}",
        f"augmentations.{cell['augmentation']['name']}",
        f"architectures.{cell['architecture']['name']}",
        *(f"methods.{name}" for name in names if name not in BY_OBJECTIVE),
        *(f"methods.{name}.{objective(names)}" for name in names if name in BY_OBJECTIVE),
    ]
    return any(path.startswith(f"{place}.") for place in used)


def _short(path: str) -> str:
    """Shorten a key path for a table's row: the last key is what a reader looks for."""
    return path.rsplit(".", 1)[1]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
