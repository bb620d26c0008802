"""One training, spelled out: from the names of a cell to every parameter, and to the trainings that it learns from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ews.core.errors import EwsError
from ews.pipeline.study.method_schema import ByObjective, Methods
from ews.pipeline.study.methods import VANILLA, check_sub_batches, check_values, components, objective
from ews.pipeline.study.naming import differences, flatten, run_path
from ews.pipeline.study.schema import Params
from ews.pipeline.study.teachers import roles

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


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        run: folder below results/runs.
        cell: resolved parameters, JSON types only.
        differs: its parameters, and its teachers', that are not those without a study's overrides.
        teachers: the trainings whose networks it learns from, by ``component.teachers.role``.
    """

    run: str
    cell: dict[str, Any]
    differs: dict[str, Any]
    teachers: dict[str, "Training"]

    def chain(self) -> Iterator["Training"]:
        """Yield this training and all that it learns from, directly or not."""
        yield self
        for teacher in self.teachers.values():
            yield from teacher.chain()


def resolve(
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
    taught: dict[str, Training] = {}
    sections = []
    for name in names:
        section = {"name": name, **_section(params, name, names)}
        for role, teacher in roles(getattr(params.methods, name)).items():
            chosen = (teacher.architecture or architecture, teacher.augmentation, teacher.method)
            found = resolve(params, base, dataset, *chosen, seed if teacher.seed is None else teacher.seed)
            taught[f"{name}.teachers.{role}"] = found
            built = found.cell["architecture"]
            section["teachers"][role] = {
                **{"run": found.run, "weights": teacher.weights, "architecture": built},
                **{"augmentation": chosen[1], "method": chosen[2], "seed": found.cell["seed"]},
            }
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
    differs: dict[str, Any] = {}
    if params is not base:
        default = resolve(base, base, dataset, architecture, augmentation, method, seed)
        differs = differences(flatten(cell), flatten(default.cell))
        # What a teacher differs in by itself, whichever method it is.
        differs |= {f"{place}.{key}": value for place, one in taught.items() for key, value in one.differs.items()}
    return Training(run=run_path(cell, differs), cell=cell, differs=differs, teachers=taught)


def check(cell: dict[str, Any], params: Params) -> None:
    """Refuse what cannot be trained: with its overrides, without which the same cell need not be possible."""
    dataset = cell["dataset"]
    sections = {component["name"]: component for component in cell["method"]["components"]}
    check_values(cell["method"]["name"], sections, where="params.yaml")
    where = f"params.yaml: recipes.{dataset}.{_kind(list(sections))}"
    check_sub_batches(sections, cell["recipe"]["batch_size"], where=where)
    for name, section in sections.items():
        _check_stages(name, section, cell, params)
        for role, teacher in section.get("teachers", {}).items():
            if teacher["weights"] == "best" and params.datasets[dataset].validation == 0:
                raise EwsError(
                    f"params.yaml: methods.{name}.teachers.{role}.weights = 'best': without "
                    f"datasets.{dataset}.validation no epoch is the best; use last."
                )


def _check_stages(name: str, section: dict[str, Any], cell: dict[str, Any], params: Params) -> None:
    """Refuse stages, counted from the last, that a student or a teacher does not have."""
    if "stages" not in section:
        return
    networks = {
        "it trains": cell["architecture"],
        **{f"of the teacher {r}": t["architecture"] for r, t in section["teachers"].items()},
    }
    for whose, network in networks.items():
        count = params.architectures[network["name"]].stages
        if section["stages"][0] < -count:
            raise EwsError(
                f"params.yaml: methods.{name}.stages = {section['stages']}: the network {whose}, {network['name']}, "
                f"has {count} stages; give some of {list(range(-count, 0))}, ascending, each once."
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


def _kind(names: list[str]) -> str:
    """Return the kind of training, a key below recipes.<dataset>, that a method's components ask for."""
    return next((KINDS[name] for name in names if name in KINDS), "standard")


def touches(path: str, training: Training) -> bool:
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
