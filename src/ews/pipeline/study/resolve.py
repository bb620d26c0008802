"""One training run, spelled out: from the names of a cell to every parameter, and to the runs that it learns from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.errors import EwsError
from ews.methods.method_registry import METHODS
from ews.pipeline.study import sections
from ews.pipeline.study.cell import (
    ArchitectureCell,
    AugmentationCell,
    Cell,
    ComponentCell,
    DynamicCell,
    MethodCell,
    TeacherRun,
)
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.methods import (
    VANILLA,
    Spec,
    components,
    objective,
    recipe,
)
from ews.pipeline.study.naming import RECIPE, differences, run_path
from ews.pipeline.study.recipe_spec import Recipe
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trainable import check_cell

Names = tuple[str, str, str, str]
"""Dataset, architecture, augmentation and method of a cell."""


@dataclass(frozen=True)
class TrainingRun:
    """One training run.

    Attributes:
        run: folder below results/runs.
        cell: the resolved parameters.
        recipe: the name of its recipe below recipes.<dataset>.
        differs: its parameters, and its teachers', that are not those without a study's overrides; first the name of
            its recipe, where that is not the one of its kind of training.
        teachers: the runs whose networks it learns from.
    """

    run: str
    cell: Cell
    recipe: str
    differs: dict[str, JsonValue]
    teachers: tuple["TrainingRun", ...]

    def chain(self) -> Iterator["TrainingRun"]:
        """Yield this run and all that it learns from, directly or not."""
        yield self
        for teacher in self.teachers:
            yield from teacher.chain()


@dataclass
class Resolver:
    """Resolves cells under one set of parameters; what cells share is spelled out once.

    Attributes:
        params: with a study's overrides.
        base: resolves without them; None: there are none.
        recipes: names of recipes by method, where a study gives one.
    """

    params: Params
    base: "Resolver | None" = None
    recipes: Mapping[str, str] = field(default_factory=dict)
    _runs: dict[tuple[Names, int], TrainingRun] = field(default_factory=dict)
    _shared: dict[Names, Cell] = field(default_factory=dict)

    def resolve(self, names: Names, seed: int) -> TrainingRun:
        """Spell out everything that decides what one training run does, and those that it learns from.

        Raises:
            EwsError: the dataset lacks what the method needs, or the cell cannot be trained.
        """
        found = self._runs.get((names, seed))
        if found is None:
            found = self._runs[names, seed] = self._resolve(names, seed)
        return found

    def _resolve(self, names: Names, seed: int) -> TrainingRun:
        dataset, architecture, _, method = names
        taught: dict[str, TrainingRun] = {}
        differs: dict[str, JsonValue] = {}
        entries: dict[str, TeacherRun] = {}
        for spec in components(method):
            for role, teacher in sections.teachers(spec, self.params.methods.of(spec.name)).items():
                chosen = (dataset, teacher.architecture or architecture, teacher.augmentation, teacher.method)
                run = taught[role] = self.resolve(chosen, seed if teacher.seed is None else teacher.seed)
                entries[role] = TeacherRun(
                    run=run.run,
                    weights=teacher.weights,
                    architecture=run.cell.architecture,
                    augmentation=teacher.augmentation,
                    method=teacher.method,
                    seed=run.cell.seed,
                )
                # What a teacher differs in by itself, whichever method it is.
                differs |= {f"{spec.name}.teachers.{role}.{key}": value for key, value in run.differs.items()}
        shared = self._shared.get(names)
        if shared is None:
            shared = self._shared[names] = self._cell(names)
        cell = shared.model_copy(update={"teachers": entries, "seed": seed})
        if self.base is not None:
            differs = differences(flatten(cell), flatten(self.base.resolve(names, seed).cell)) | differs
        kind, name = recipe(components(method)), self._recipe_name(method)
        if name != kind:
            differs = {RECIPE: name, **differs}
        return TrainingRun(
            run=run_path(cell, differs), cell=cell, recipe=name, differs=differs, teachers=tuple(taught.values())
        )

    def _cell(self, names: Names) -> Cell:
        """Return a cell but for what depends on its seed: that and its teachers."""
        dataset, architecture, augmentation, method = names
        specs = components(method)
        if any(spec.extra_data for spec in specs) and self.params.datasets[dataset].extra is None:
            raise EwsError(
                f"params.yaml: datasets.{dataset} has no `extra`, and {method} needs extra images "
                "(docs/adversarial.md)."
            )
        methods = self.params.methods
        parts = [
            ComponentCell(
                name=spec.name,
                parameters=sections.method_parameters(spec, methods.of(spec.name), objective(specs)),
            )
            for spec in specs
        ]
        return Cell(
            dataset=dataset,
            architecture=ArchitectureCell(
                name=architecture, parameters=self.params.architectures[architecture], dynamic=self._dynamic(specs)
            ),
            augmentation=AugmentationCell(
                name=augmentation,
                crop=self.params.datasets[dataset].standard,
                parameters=AUGMENTATIONS[augmentation].parameters.model_validate(
                    self.params.augmentations.of(augmentation)
                ),
            ),
            method=MethodCell(name=method if specs else VANILLA, components=tuple(parts)),
            teachers={},
            recipe=self._recipe(dataset, method),
            seed=0,
        )

    def _dynamic(self, specs: Sequence[Spec]) -> DynamicCell | None:
        """Return what makes a method's network depend on its input; mostly nothing."""
        for spec in specs:
            parameters = sections.network_parameters(spec, self.params.methods.of(spec.name))
            if parameters is not None:
                return DynamicCell(name=spec.name, parameters=parameters)
        return None

    def _recipe_name(self, method: str) -> str:
        return self.recipes.get(method) or recipe(components(method))

    def _recipe(self, dataset: str, method: str) -> Recipe:
        name = self._recipe_name(method)
        found = self.params.recipes[dataset].get(name)
        if not isinstance(found, Recipe):
            raise EwsError(f"params.yaml: recipes.{dataset} has no entry {name!r}, which {method} needs; add one.")
        return found


def check_trainable(training: TrainingRun, params: Params) -> None:
    """Refuse what cannot be trained: with its overrides, without which the same cell need not be possible.

    Raises:
        EwsError: names the keys that do not go together.
    """
    cell = training.cell
    check_cell(cell, where="params.yaml", recipe=f"params.yaml: recipes.{cell.dataset}.{training.recipe}")
    for component in cell.method.components:
        for teacher in METHODS[component.name].teachers:
            if cell.teachers[teacher.role].weights == "best" and params.datasets[cell.dataset].validation == 0:
                raise EwsError(
                    f"params.yaml: methods.{component.name}.teachers.{teacher.role}.weights = 'best': without "
                    f"datasets.{cell.dataset}.validation no epoch is the best; use last."
                )


def touches(path: str, training: TrainingRun) -> bool:
    """Tell whether an override can change a run or one that it learns from: the sections that they use."""
    return any(path.startswith(f"{place}.") for part in training.chain() for place in _sections(part))


def _sections(training: TrainingRun) -> list[str]:
    """Return the key paths of the sections of params.yaml that a training run uses."""
    cell = training.cell
    specs = components(cell.method.name)
    return [
        "evaluation",
        f"datasets.{cell.dataset}.corrupted",
        f"datasets.{cell.dataset}.standard",
        f"recipes.{cell.dataset}.{training.recipe}",
        f"augmentations.{cell.augmentation.name}",
        f"architectures.{cell.architecture.name}",
        *(f"methods.{spec.name}" for spec in specs if spec.by_objective is None),
        *(f"methods.{spec.name}.{objective(specs)}" for spec in specs if spec.by_objective is not None),
    ]
