"""Studies to cells: the cross product with its overrides, resolved and named."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from pydantic import JsonValue

from ews.core.errors import EwsError
from ews.core.values import Section
from ews.pipeline.evaluate.corruption.corruption_spec import stored
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import CorruptedSet, Options, Settings
from ews.pipeline.study.attack_efforts import check_reach
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.flat import Flat, flat_section
from ews.pipeline.study.manifest import Asked, Entry, Label, Manifest
from ews.pipeline.study.methods import components, recipe
from ews.pipeline.study.naming import EVALUATION, RECIPE, differences, spell, tagged
from ews.pipeline.study.overrides import CELLS, Combination, combinations, is_sweep
from ews.pipeline.study.resolve import Names, Resolver, TrainingRun, check_trainable, touches
from ews.pipeline.study.schema import Params, Study

GENERATED, OFFICIAL = "generated", "official"


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


def plan(params: Params, study: str) -> list[Planned]:
    """Return the cells of a study, each once, in the order of its axes.

    Raises:
        EwsError: an override or a variant names an unknown key, has a bad value, or touches no cell of the study; a
            recipe is of no method of it; two rows are the same.
    """
    spec = params.studies[study]
    where = f"params.yaml: studies.{study}"
    _check_asked(params, spec, where)
    combined = list(islice(combinations(spec, params, study), CELLS + 1))
    axes = list(islice(_axes(spec, params), CELLS + 1))
    if len(combined) * len(axes) > CELLS:
        raise EwsError(f"{where}: more than {CELLS:,} cells, each a training run. Make several studies of it.")
    base = Resolver(params, recipes=spec.recipe)
    planned: dict[str, Planned] = {}
    touched: set[tuple[str, str]] = set()
    trained: set[str] = set()
    for combination in combined:
        changed = combination.apply(params, study)
        resolver = Resolver(changed, base, spec.recipe) if combination.values else base
        measured = {dataset: _Measured.of(changed, params, spec, dataset) for dataset in spec.dataset}
        for names, seed in axes:
            training = resolver.resolve(names, seed)
            how = measured[names[0]]
            asked = tuple(asked for asked in how.asked if EVALUATIONS[asked.kind].applies(training.cell))
            for part in training.chain():
                check_trainable(part, changed)
                check_reach(part.cell, asked if part is training else ())
                trained.add(part.cell.method.name)
            used = [path for path in combination.values if touches(path, training)]
            touched.update((combination.variant if path in combination.varied else "", path) for path in used)
            entry = Planned(
                run=training.run,
                cell=training.cell,
                evaluation=how.folder,
                settings=how.settings,
                asked=asked,
                label=_label(names, training, spec, combination, used, params),
                differs=training.differs,
                stored=how.stored,
                teachers={other.run: other.cell for other in training.chain() if other is not training},
            )
            _place(planned, entry, where)
            if spec.variants and planned[entry.results].label != entry.label:
                raise EwsError(
                    f"{where}: the rows {planned[entry.results].label.method!r} and {entry.label.method!r} are the "
                    "same training and evaluation; leave one out."
                )
    for variant, path in [("", path) for path in spec.overrides] + [
        (variant, path) for variant, values in spec.variants.items() for path in values
    ]:
        if (variant, path) not in touched:
            key = f"variants.{variant}" if variant else "overrides"
            raise EwsError(f"{where}.{key}: {path!r} changes no cell of this study.")
    for method in spec.recipe:
        if method not in trained:
            raise EwsError(f"{where}.recipe: no cell is trained by {method!r}; valid: {', '.join(sorted(trained))}.")
    for kind in spec.evaluations:
        if not any(asked.kind == kind for entry in planned.values() for asked in entry.asked):
            raise EwsError(f"{where}.evaluations: {kind!r} {EVALUATIONS[kind].otherwise}.")
    return list(planned.values())


def _check_asked(params: Params, spec: Study, where: str) -> None:
    """Refuse overrides of evaluations that a study does not ask for: they would move the results of the others."""
    used = _Used(_settings(params, params.datasets[spec.dataset[0]].corrupted).sections)
    for kind in spec.evaluations:
        EVALUATIONS[kind].asked(Settings(None, used, params.datasets[spec.dataset[0]].corrupted))
    for path in spec.overrides:
        section, _, rest = path.partition(".")
        kind = rest.partition(".")[0]
        if section == "evaluation" and kind in EVALUATIONS and kind not in used.kinds | set(spec.evaluations):
            raise EwsError(
                f"{where}.overrides: {path!r}: the study asks for {', '.join(spec.evaluations)}, and of these nothing "
                f"depends on it. Add {kind} to {where.partition(': ')[2]}.evaluations, or leave the override out."
            )


def _label(
    names: Names, training: TrainingRun, spec: Study, combination: Combination, used: Sequence[str], params: Params
) -> Label:
    """Name a row: after its method the recipe and the variant, if rows differ in that, and what is swept of it."""
    dataset, architecture, augmentation, method = names
    parts = [method]
    recipes = {spec.recipe.get(other) or recipe(components(other)) for other in spec.method}
    if method in spec.recipe and len(recipes) > 1:
        parts.append(f"{RECIPE}={training.recipe}")
    if any(path in combination.varied for path in used):
        parts.append(combination.variant)
    parts += [
        f"{_short(path)}={spell(combination.values[path])}"
        for path in used
        if path not in combination.varied and is_sweep(spec.overrides[path], path, params)
    ]
    return Label(dataset=dataset, architecture=architecture, augmentation=augmentation, method=", ".join(parts))


def manifest(params: Params, study: str, planned: list[Planned] | None = None) -> Manifest:
    """Return what the reports need to know of a study: results/<study>/study.json.

    Args:
        params: of everything.
        study: its name.
        planned: what :func:`plan` returns for it, if that is known already.
    """
    spec = params.studies[study]
    cells = plan(params, study) if planned is None else planned
    listed = {entry.run for entry in cells}
    return Manifest(
        study=study,
        title=spec.title,
        evaluations=tuple(spec.evaluations),
        variants=spec.variants,
        entries=tuple(
            Entry(
                run=entry.run,
                evaluation=entry.evaluation,
                label=entry.label,
                cell=entry.cell,
                differs=dict(entry.differs),
                corrupted=entry.settings.corrupted,
                asked=entry.asked,
            )
            for entry in cells
        ),
        teachers={run: cell for entry in cells for run, cell in entry.teachers.items() if run not in listed},
    )


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
    runs: dict[str, Cell] = {}
    for study, entries in plans.items():
        for entry in entries:
            _place(found, entry, f"params.yaml: studies.{study}")
            if not entry.stored:
                found[entry.results] = entry
            for run, cell in trainings([entry]).items():
                other = runs.setdefault(run, cell)
                if other is not cell and other != cell:
                    raise EwsError(f"params.yaml: studies.{study}: two different cells would share {run}.")
    return found


def trainings(planned: Iterable[Planned]) -> dict[str, Cell]:
    """Return what is trained, by run folder: the cells of studies, and those that they learn from."""
    found: dict[str, Cell] = {}
    for entry in planned:
        found |= {entry.run: entry.cell, **entry.teachers}
    return found


@dataclass(frozen=True)
class _Measured:
    """How the cells of a dataset are measured under one combination of overrides; see :class:`Planned`."""

    settings: Settings
    folder: str
    asked: tuple[Asked, ...]
    stored: bool

    @classmethod
    def of(cls, params: Params, base: Params, spec: Study, dataset: str) -> "_Measured":
        """Derive it from the parameters with and without overrides."""
        settings = _settings(params, params.datasets[dataset].corrupted)
        # Official images are told apart from generated ones even where params.yaml makes them the default.
        usual = params.datasets[dataset].corrupted.model_copy(update={"source": GENERATED})
        differs = differences(_decisive(settings), _decisive(_settings(base, usual)))
        return cls(
            settings=settings,
            folder=tagged(EVALUATION, differs) if differs else "",
            asked=tuple(Asked(kind=kind, options=EVALUATIONS[kind].asked(settings)) for kind in spec.evaluations),
            stored=stored(settings),
        )


class _Used(dict[str, Section]):
    """Sections by kind of evaluation, and which of them were asked for."""

    def __init__(self, sections: Mapping[str, Section]) -> None:
        super().__init__(sections)
        self.kinds: set[str] = set()

    def __getitem__(self, kind: str) -> Section:
        self.kinds.add(kind)
        return super().__getitem__(kind)


def _settings(params: Params, corrupted: CorruptedSet) -> Settings:
    sections = {kind: params.evaluation.of(kind) for kind, spec in EVALUATIONS.items() if spec.section.model_fields}
    return Settings(test_images=params.evaluation.test_images, sections=sections, corrupted=corrupted)


def _decisive(settings: Settings) -> Flat:
    """Spell out everything that decides how a trained network is measured, by key path below `evaluation`."""
    flat: Flat = {"test_images": settings.test_images, "corrupted.source": settings.corrupted.source}
    for kind, section in settings.sections.items():
        ways = EVALUATIONS[kind].ways
        flat |= {f"{kind}.{key}": value for key, value in flat_section(section).items() if key not in ways}
    return flat


def _place(planned: dict[str, Planned], entry: Planned, where: str) -> None:
    """Add a cell to those by results folder; the same one again is no other."""
    other = planned.setdefault(entry.results, entry)
    if other is not entry and (other.cell != entry.cell or _decisive(other.settings) != _decisive(entry.settings)):
        raise EwsError(f"{where}: two different cells would share {entry.results}.")


def _axes(spec: Study, params: Params) -> Iterator[tuple[Names, int]]:
    for dataset in spec.dataset:
        architectures = spec.architecture or [params.datasets[dataset].architecture]
        seeds = params.seeds if spec.seed is None else spec.seed
        for names in product([dataset], architectures, spec.augmentation, spec.method):
            yield from ((names, seed) for seed in seeds)


def _short(path: str) -> str:
    """Shorten a key path for a table's row: the last key is what a reader looks for, of a teacher with its role."""
    return path.rpartition(".teachers.")[2] if ".teachers." in path else path.rsplit(".", 1)[1]
