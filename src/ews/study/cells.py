"""Studies to cells: the cross product with its overrides, resolved and named."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ews.errors import EwsError
from ews.study.methods import VANILLA, check_sub_batches, check_values, components, objective
from ews.study.naming import canonical, differences, flatten, run_path, spell, tagged
from ews.study.overrides import combinations, is_sweep, override
from ews.study.schema import ByObjective, Methods, Params, Study
from ews.study.teachers import roles

# What a kind of training is called under `recipes`; a component that brings its own kind is added here.
KINDS: dict[str, str] = dict.fromkeys(("at", "trades", "mixacm", "awnet"), "adversarial")
# Components that change what the network is, and which of their parameters say how (`dynamic` of the architecture).
DYNAMIC: dict[str, tuple[str, ...]] = {"awnet": ("extractor",)}
# Components whose parameters are given by objective.
BY_OBJECTIVE = {
    name
    for name, entry in Methods.model_fields.items()
    if isinstance(entry.annotation, type) and issubclass(entry.annotation, ByObjective)
}
GENERATED, OFFICIAL = "generated", "official"


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        run: folder below results/runs.
        cell: resolved parameters, JSON types only.
        default: the same cell without a study's overrides.
        teachers: the trainings whose networks it learns from.
    """

    run: str
    cell: dict[str, Any]
    default: dict[str, Any]
    teachers: tuple["Training", ...]

    def chain(self) -> Iterator["Training"]:
        """Yield this training and all that it learns from, directly or not."""
        yield self
        for teacher in self.teachers:
            yield from teacher.chain()


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
            training = _resolve(changed, params, dataset, architecture, augmentation, method, seed)
            for part in training.chain():
                _check(part.cell, changed)
            settings = _settings(changed, changed.datasets[dataset].corrupted.source)
            # Official images are told apart from generated ones even where params.yaml makes them the default.
            evaluation = differences(_flat(settings), _flat(_settings(params, GENERATED)))
            swept = {path: value for path, value in overrides.items() if _touches(path, training)}
            touched |= set(swept)
            sweep = {path: value for path, value in swept.items() if is_sweep(spec.overrides[path], path, raw)}
            entry = Planned(
                run=training.run,
                cell=training.cell,
                evaluation=tagged("eval", evaluation) if evaluation else "",
                settings=settings,
                label={
                    "dataset": dataset,
                    "architecture": architecture,
                    "augmentation": augmentation,
                    "method": ", ".join([method, *(f"{_short(path)}={spell(value)}" for path, value in sweep.items())]),
                },
                differs=differences(flatten(training.cell), flatten(training.default)),
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
            **{
                f"{run}: recipe train_images": (cell["recipe"]["train_images"], kept)
                for run, cell in entry.teachers.items()
            },
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
    params: Params, base: Params, dataset: str, architecture: str, augmentation: str, method: str, seed: int
) -> Training:
    """Spell out everything that decides what one training does, and those that it learns from.

    Args:
        params: with a study's overrides.
        base: without them.
        dataset: and what follows: the names of the cell.
    """
    names = components(method)
    if "rst" in names and params.datasets[dataset].extra is None:
        raise EwsError(
            f"params.yaml: datasets.{dataset} has no `extra`, and {method} needs extra images (docs/adversarial.md)."
        )
    taught: list[Training] = []
    sections = []
    for name in names:
        section = {"name": name, **_section(params, name, names)}
        for role, teacher in roles(getattr(params.methods, name)).items():
            chosen = (teacher.architecture or architecture, teacher.augmentation, teacher.method)
            found = _resolve(params, base, dataset, *chosen, seed if teacher.seed is None else teacher.seed)
            taught.append(found)
            built = found.cell["architecture"]
            section["teachers"][role] = {"run": found.run, "weights": teacher.weights, "architecture": built}
        sections.append(section)
    cell = {
        "dataset": dataset,
        "architecture": {
            "name": architecture,
            **params.architectures[architecture].model_dump(),
            **_dynamic(params, names),
        },
        "augmentation": {
            "name": augmentation,
            **params.datasets[dataset].standard.model_dump(),
            **getattr(params.augmentations, augmentation).model_dump(),
        },
        "method": {"name": method if names else VANILLA, "components": sections},
        "recipe": _recipe(params, dataset, names),
        "seed": seed,
    }
    default = cell if params is base else _resolve(base, base, dataset, architecture, augmentation, method, seed).cell
    return Training(run=run_path(cell, default), cell=cell, default=default, teachers=tuple(taught))


def _check(cell: dict[str, Any], params: Params) -> None:
    """Refuse what cannot be trained: with its overrides, without which the same cell need not be possible."""
    dataset = cell["dataset"]
    sections = {component["name"]: component for component in cell["method"]["components"]}
    check_values(cell["method"]["name"], sections, where="params.yaml")
    where = f"params.yaml: recipes.{dataset}.{_kind(list(sections))}"
    check_sub_batches(sections, cell["recipe"]["batch_size"], where=where)
    for name, section in sections.items():
        for role, teacher in section.get("teachers", {}).items():
            if teacher["weights"] == "best" and params.datasets[dataset].validation == 0:
                raise EwsError(
                    f"params.yaml: methods.{name}.teachers.{role}.weights = 'best': without "
                    f"datasets.{dataset}.validation no epoch is the best; use last."
                )


def _section(params: Params, name: str, names: list[str]) -> dict[str, Any]:
    """Return a component's parameters; of one that has them by objective, those of the method's."""
    section = getattr(params.methods, name)
    if isinstance(section, ByObjective):
        section = getattr(section, objective(names) or "")
    values: dict[str, Any] = section.model_dump(exclude=set(DYNAMIC.get(name, ())))
    return values


def _dynamic(params: Params, names: list[str]) -> dict[str, Any]:
    """Return what makes a cell's network depend on its input, as its architecture has it; mostly nothing."""
    for name in names:
        if name in DYNAMIC:
            settings = getattr(params.methods, name).model_dump(include=set(DYNAMIC[name]))
            return {"dynamic": {"name": name, **settings}}
    return {}


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


def _touches(path: str, training: Training) -> bool:
    """Tell whether an override can change a training or one that it learns from: the sections that they use."""
    return any(path.startswith(f"{place}.") for part in training.chain() for place in _sections(part.cell))


def _sections(cell: dict[str, Any]) -> list[str]:
    """Return the key paths of the sections of params.yaml that a cell uses."""
    names = [component["name"] for component in cell["method"]["components"]]
    return [
        "evaluation",
        f"datasets.{cell['dataset']}.corrupted",
        f"recipes.{cell['dataset']}.{_kind(names)}",
        f"augmentations.{cell['augmentation']['name']}",
        f"architectures.{cell['architecture']['name']}",
        *(f"methods.{name}" for name in names if name not in BY_OBJECTIVE),
        *(f"methods.{name}.{objective(names)}" for name in names if name in BY_OBJECTIVE),
    ]


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
