"""Studies to cells: the cross product with its overrides, resolved and named."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ews.core.errors import EwsError
from ews.pipeline.study.naming import EVALUATION, canonical, differences, spell, tagged
from ews.pipeline.study.overrides import combinations, is_sweep, override
from ews.pipeline.study.resolve import DYNAMIC, check, resolve, touches
from ews.pipeline.study.schema import Params, Study

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
        teachers: the cells by run folder that it learns from, directly or not, whether a study lists them or not.
    """

    run: str
    cell: dict[str, Any]
    evaluation: str
    settings: dict[str, Any]
    label: dict[str, str]
    differs: dict[str, Any]
    stored: bool
    teachers: dict[str, dict[str, Any]]

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
    for overrides in combinations(spec, raw, study):
        changed = override(raw, overrides, study) if overrides else params
        for dataset, architecture, augmentation, method, seed in _axes(spec, params):
            training = resolve(changed, params, dataset, architecture, augmentation, method, seed)
            for part in training.chain():
                check(part.cell, changed)
            settings = _settings(changed, changed.datasets[dataset].corrupted.source)
            # Official images are told apart from generated ones even where params.yaml makes them the default.
            evaluation = differences(_flat(settings), _flat(_settings(params, GENERATED)))
            swept = {path: value for path, value in overrides.items() if touches(path, training)}
            touched |= set(swept)
            sweep = {path: value for path, value in swept.items() if is_sweep(spec.overrides[path], path, raw)}
            entry = Planned(
                run=training.run,
                cell=training.cell,
                evaluation=tagged(EVALUATION, evaluation) if evaluation else "",
                settings=settings,
                label={
                    "dataset": dataset,
                    "architecture": architecture,
                    "augmentation": augmentation,
                    "method": ", ".join([method, *(f"{_short(path)}={spell(value)}" for path, value in sweep.items())]),
                },
                differs=training.differs,
                stored=changed.evaluation.corruption.stored or settings["corrupted"]["source"] == OFFICIAL,
                teachers={other.run: other.cell for other in training.chain() if other is not training},
            )
            _place(planned, entry, f"params.yaml: studies.{study}")
    for path in spec.overrides:
        if path not in touched:
            raise EwsError(f"params.yaml: studies.{study}.overrides: {path!r} changes no cell of this study.")
    for kind in spec.evaluations:
        if not any(is_measured(kind, entry.cell) for entry in planned.values()):
            raise EwsError(
                f"params.yaml: studies.{study}.evaluations: {kind!r} deceives a router, and no cell of this study has "
                f"one; a method with {' or '.join(DYNAMIC)} has."
            )
    return list(planned.values())


def is_measured(kind: str, cell: Mapping[str, Any]) -> bool:
    """Tell whether an evaluation that a study asks for applies to a cell: `adaptive` does to networks with a router."""
    return kind != "adaptive" or "dynamic" in cell["architecture"]


def manifest(params: Params, study: str) -> dict[str, Any]:
    """Return what the reports need to know of a study: results/<study>/study.json."""
    spec = params.studies[study]
    cells = plan(params, study)
    settings = cells[0].settings
    listed = {entry.run for entry in cells}
    teachers = {run: cell for entry in cells for run, cell in entry.teachers.items() if run not in listed}
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
        **({"adaptive": _adaptive(settings)} if "adaptive" in spec.evaluations else {}),
        # Trained, and measured in no row: what they cost is part of what their students cost.
        **({"teachers": teachers} if teachers else {}),
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
    """Return every study's cells by results folder: :func:`merged`."""
    return merged({study: plan(params, study) for study in params.studies})


def merged(plans: Mapping[str, Iterable[Planned]]) -> dict[str, Planned]:
    """Return the cells of studies by results folder; the same cell of two studies stands once.

    Where one of them stores no corrupted images, it stands without.

    Args:
        plans: by study what :func:`plan` returns.

    Raises:
        EwsError: two different cells would share a folder.
    """
    found: dict[str, Planned] = {}
    runs: dict[str, str] = {}
    for study, entries in plans.items():
        for entry in entries:
            _place(found, entry, f"params.yaml: studies.{study}")
            if not entry.stored:
                found[entry.results] = entry
            for run, cell in trainings([entry]).items():
                content = canonical(cell)
                if runs.setdefault(run, content) != content:
                    raise EwsError(f"params.yaml: studies.{study}: two different cells would share {run}.")
    return found


def trainings(planned: Iterable[Planned]) -> dict[str, dict[str, Any]]:
    """Return what is trained, by run folder: the cells of studies, and those that they learn from."""
    found: dict[str, dict[str, Any]] = {}
    for entry in planned:
        found |= {entry.run: entry.cell, **entry.teachers}
    return found


def check_sizes(
    params: Params, plans: Mapping[str, Iterable[Planned]], sizes: Mapping[str, tuple[int | None, int | None]]
) -> None:
    """Refuse subsets larger than what they are taken from, before anything is downloaded or trained.

    Args:
        params: for the datasets' sources and validation shares, and for what the studies measure.
        plans: the cells of studies.
        sizes: source -> numbers of its training and test images; None where the manifest has none.

    Raises:
        EwsError: a subset is too large.
    """
    for study, entry in ((study, entry) for study, planned in plans.items() for entry in planned):
        attacked = "adversarial" in params.studies[study].evaluations
        dataset = params.datasets[entry.cell["dataset"]]
        train, test = sizes[dataset.source]
        kept = None if train is None else train - round(train * dataset.validation)
        wanted = {
            **{
                f"{run}: recipe train_images": (cell["recipe"]["train_images"], kept)
                for run, cell in entry.teachers.items()
            },
            "recipe train_images": (entry.cell["recipe"]["train_images"], kept),
            "evaluation.test_images": (entry.settings["test_images"], test),
            "evaluation.adversarial.autoattack.n_examples": (
                entry.settings["adversarial"]["autoattack"]["n_examples"] if attacked else None,
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


def _settings(params: Params, source: str) -> dict[str, Any]:
    """Spell out everything that decides how a trained network is measured."""
    return {**params.evaluation.model_dump(exclude={"corruption": {"stored"}}), "corrupted": {"source": source}}


def _short(path: str) -> str:
    """Shorten a key path for a table's row: the last key is what a reader looks for, of a teacher with its role."""
    return path.rpartition(".teachers.")[2] if ".teachers." in path else path.rsplit(".", 1)[1]


def _adaptive(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the adaptive attacks' settings, with what they have in common with the other attacks."""
    return {**{key: settings["adversarial"][key] for key in ("epsilon", "step_size", "steps")}, **settings["adaptive"]}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
