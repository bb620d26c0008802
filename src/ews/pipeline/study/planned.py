"""One planned cell of a study: what is trained where, and how it is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from pydantic import JsonValue

from ews.pipeline.evaluate.corruption.corruption_spec import stored
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import CorruptedSet, Options, Settings
from ews.pipeline.study.attack_efforts import check_reach
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.flat import Flat, flat_section
from ews.pipeline.study.manifest import Asked, Label
from ews.pipeline.study.methods import components, recipe
from ews.pipeline.study.naming import EVALUATION, RECIPE, differences, spell, tagged
from ews.pipeline.study.overrides import Combination, is_sweep
from ews.pipeline.study.resolve import Names, Resolver, TrainingRun, check_trainable, touches
from ews.pipeline.study.schema import Params, Study

GENERATED = "generated"


@dataclass(frozen=True)
class Planned:
    """One cell of one study.

    Attributes:
        run: folder below results/runs.
        cell: the resolved parameters.
        evaluation: subfolder of the run for evaluation settings that differ from the defaults; "" for the defaults.
        settings: all that decides how it is measured, and ways to do so.
        asked: the study's evaluations that apply to it, in the study's order.
        label: dataset, architecture, augmentation and method as tables name them.
        differs: the parameters that are not the defaults, which a hash in the folder's name stands for.
        stored: whether corrupted images are read from disk (official ones always are) or made while they are measured.
        teachers: the cells by run folder that it learns from, directly or not, whether a study lists them or not.
    """

    run: str
    cell: Cell
    evaluation: str
    settings: Settings
    asked: tuple[Asked, ...]
    label: Label
    differs: Mapping[str, JsonValue]
    stored: bool
    teachers: Mapping[str, Cell]

    @property
    def results(self) -> str:
        """Folder of the evaluations below results/runs."""
        return f"{self.run}/{self.evaluation}" if self.evaluation else self.run

    def options(self, kind: str) -> Options:
        """Return what an evaluation of this cell is asked for, whether the study wants it or not."""
        options: Options = EVALUATIONS.find(kind).asked(self.settings)
        return options


@dataclass
class Planner:
    """Plans cells of one study; what cells share is worked out once.

    Attributes:
        params: of everything.
        study: the study's name.
    """

    params: Params
    study: str
    _base: Resolver = field(init=False)
    _changed: dict[str, "_Changed"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._base = Resolver(self.params, recipes=self.spec.recipe)

    @property
    def spec(self) -> Study:
        """The study."""
        return self.params.studies[self.study]

    def axes(self, seeds: Sequence[int]) -> Iterator[tuple[Names, int]]:
        """Yield the names and seeds of the study's axes, in their order."""
        spec = self.spec
        for dataset in spec.dataset:
            architectures = spec.architecture or [self.params.datasets[dataset].architecture]
            for names in product([dataset], architectures, spec.augmentation, spec.method):
                yield from ((names, seed) for seed in seeds)

    def entry(
        self, names: Names, seed: int, combination: Combination, evaluations: Sequence[str]
    ) -> tuple[Planned, TrainingRun]:
        """Return a cell as it is trained and measured, and the training run that it comes from.

        Args:
            names: of the cell.
            seed: of its training.
            combination: values that differ from params.yaml's.
            evaluations: kinds that are asked for where they apply.

        Raises:
            EwsError: an unknown key, a bad value, or a cell that cannot be trained.
        """
        changed = self._under(combination)
        training = changed.resolver.resolve(names, seed)
        how = changed.measured[names[0]]
        asked = tuple(
            Asked(kind=kind, options=EVALUATIONS[kind].asked(how.settings))
            for kind in evaluations
            if EVALUATIONS[kind].applies(training.cell)
        )
        for part in training.chain():
            check_trainable(part, changed.params)
            check_reach(part.cell, asked if part is training else ())
        used = [path for path in combination.values if touches(path, training)]
        planned = Planned(
            run=training.run,
            cell=training.cell,
            evaluation=how.folder,
            settings=how.settings,
            asked=asked,
            label=self._label(names, training, combination, used),
            differs=training.differs,
            stored=how.stored,
            teachers={other.run: other.cell for other in training.chain() if other is not training},
        )
        return planned, training

    def _under(self, combination: Combination) -> "_Changed":
        key = repr(sorted(combination.values.items()))
        if key not in self._changed:
            changed = combination.apply(self.params, self.study)
            resolver = Resolver(changed, self._base, self.spec.recipe) if combination.values else self._base
            measured = {dataset: _Measured.of(changed, self.params, dataset) for dataset in self.spec.dataset}
            self._changed[key] = _Changed(changed, resolver, measured)
        return self._changed[key]

    def _label(self, names: Names, training: TrainingRun, combination: Combination, used: Sequence[str]) -> Label:
        """Name a row: after its method the recipe and the variant, if rows differ in that, and what is swept of it."""
        spec = self.spec
        dataset, architecture, augmentation, method = names
        parts = [method]
        recipes = {spec.recipe.get(other) or recipe(components(other)) for other in spec.method}
        if method in spec.recipe and len(recipes) > 1:
            parts.append(f"{RECIPE}={training.recipe}")
        own = combination.tuned if combination.arm == combination.variant else frozenset()
        if combination.variant and any(path in combination.varied | own for path in used):
            parts.append(combination.variant)
        parts += [
            f"{_short(path)}={spell(combination.values[path])}"
            for path in used
            if path in spec.overrides and is_sweep(spec.overrides[path], path, self.params)
        ]
        return Label(dataset=dataset, architecture=architecture, augmentation=augmentation, method=", ".join(parts))


@dataclass(frozen=True)
class _Changed:
    """Parameters under one combination of values, what resolves cells under them, and how data sets are measured."""

    params: Params
    resolver: Resolver
    measured: Mapping[str, "_Measured"]


@dataclass(frozen=True)
class _Measured:
    """How the cells of a dataset are measured under one combination of overrides; see :class:`Planned`."""

    settings: Settings
    folder: str
    stored: bool

    @classmethod
    def of(cls, params: Params, base: Params, dataset: str) -> "_Measured":
        """Derive it from the parameters with and without overrides."""
        settings = settings_of(params, params.datasets[dataset].corrupted)
        # Official images are told apart from generated ones even where params.yaml makes them the default.
        usual = params.datasets[dataset].corrupted.model_copy(update={"source": GENERATED})
        differs = differences(decisive(settings), decisive(settings_of(base, usual)))
        return cls(
            settings=settings,
            folder=tagged(EVALUATION, differs) if differs else "",
            stored=stored(settings),
        )


def settings_of(params: Params, corrupted: CorruptedSet) -> Settings:
    """Return how cells of a data set are measured."""
    sections = {kind: params.evaluation.of(kind) for kind, spec in EVALUATIONS.items() if spec.section.model_fields}
    return Settings(test_images=params.evaluation.test_images, sections=sections, corrupted=corrupted)


def decisive(settings: Settings) -> Flat:
    """Spell out everything that decides how a trained network is measured, by key path below `evaluation`."""
    flat: Flat = {"test_images": settings.test_images, "corrupted.source": settings.corrupted.source}
    for kind, section in settings.sections.items():
        ways = EVALUATIONS[kind].ways
        flat |= {f"{kind}.{key}": value for key, value in flat_section(section).items() if key not in ways}
    return flat


def _short(path: str) -> str:
    """Shorten a key path for a table's row: the last key is what a reader looks for, of a teacher with its role."""
    return path.rpartition(".teachers.")[2] if ".teachers." in path else path.rsplit(".", 1)[1]
