"""Studies to cells: the cross product with its overrides, resolved and named."""

from collections.abc import Iterable, Mapping
from itertools import islice

from ews.core.errors import EwsError
from ews.core.values import Section
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import Settings
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.manifest import Entry, Manifest
from ews.pipeline.study.overrides import CELLS, combinations
from ews.pipeline.study.planned import Planned, Planner, decisive, settings_of
from ews.pipeline.study.resolve import touches
from ews.pipeline.study.schema import Params, Study
from ews.pipeline.study.tuned import Tuned

OFFICIAL = "official"


def plan(params: Params, study: str, tuned: Tuned | None = None) -> list[Planned]:
    """Return the cells of a study, each once, in the order of its axes.

    Args:
        params: of everything.
        study: its name.
        tuned: the values that tuning chose, of a study that tunes.

    Raises:
        EwsError: an override or a variant names an unknown key, has a bad value, or touches no cell of the study; a
            recipe is of no method of it; two rows are the same; the study tunes, and there are no values yet.
    """
    spec = params.studies[study]
    where = f"params.yaml: studies.{study}"
    if spec.tune is not None and tuned is None:
        raise EwsError(f"{where}: its values are not tuned yet. Run `snakemake tune_{study}` first.")
    _check_asked(params, spec, where)
    planner = Planner(params, study)
    planned: dict[str, Planned] = {}
    touched: set[tuple[str, str]] = set()
    trained: set[str] = set()
    combined = list(islice(combinations(spec, params, study), CELLS + 1))
    axes = list(islice(planner.axes(spec.seed or params.seeds), CELLS + 1))
    if len(combined) * len(axes) > CELLS:
        raise EwsError(f"{where}: more than {CELLS:,} cells, each a training run. Make several studies of it.")
    for combination in combined:
        for names, seed in axes:
            if not combination.of(names[-1]):
                continue
            own = combination
            if tuned is not None:
                own = combination.with_tuned(*tuned.of(names, combination.variant))
            entry, training = planner.entry(names, seed, own, spec.evaluations)
            trained.update(part.cell.method.name for part in training.chain())
            touched.update(
                (own.variant if path in own.varied else "", path) for path in own.values if touches(path, training)
            )
            _place(planned, entry, where)
            if spec.variants and planned[entry.results].label != entry.label:
                raise EwsError(
                    f"{where}: the rows {planned[entry.results].label.method!r} and {entry.label.method!r} are the "
                    "same training and evaluation; leave one out."
                )
    given = [("", path) for path in spec.overrides]
    given += [(name, path) for name, variant in spec.variants.items() for path in variant.values]
    for name, path in given:
        if (name, path) not in touched:
            key = f"variants.{name}" if name else "overrides"
            raise EwsError(f"{where}.{key}: {path!r} changes no cell of this study.")
    for method in spec.recipe:
        if method not in trained:
            raise EwsError(f"{where}.recipe: no cell is trained by {method!r}; valid: {', '.join(sorted(trained))}.")
    for kind in spec.evaluations:
        if not any(asked.kind == kind for entry in planned.values() for asked in entry.asked):
            raise EwsError(f"{where}.evaluations: {kind!r} {EVALUATIONS[kind].otherwise}.")
    restricted = any(variant.method for variant in spec.variants.values())
    return _by_method(list(planned.values()), spec) if restricted else list(planned.values())


def _by_method(planned: list[Planned], spec: Study) -> list[Planned]:
    """Put variants of some methods alone behind the usual rows of these."""
    groups = list(dict.fromkeys(entry.label.group for entry in planned))
    return sorted(
        planned, key=lambda entry: (groups.index(entry.label.group), spec.method.index(entry.cell.method.name))
    )


def _check_asked(params: Params, spec: Study, where: str) -> None:
    """Refuse overrides of evaluations that a study does not ask for: they would move the results of the others."""
    used = _Used(settings_of(params, params.datasets[spec.dataset[0]].corrupted).sections)
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


def manifest(params: Params, study: str, planned: list[Planned] | None = None, tuned: Tuned | None = None) -> Manifest:
    """Return what the reports need to know of a study: results/<study>/study.json.

    Args:
        params: of everything.
        study: its name.
        planned: what :func:`plan` returns for it, if that is known already.
        tuned: the values that tuning chose, of a study that tunes.
    """
    spec = params.studies[study]
    cells = plan(params, study, tuned) if planned is None else planned
    listed = {entry.run for entry in cells}
    return Manifest(
        study=study,
        title=spec.title,
        evaluations=tuple(spec.evaluations),
        variants={name: variant.values for name, variant in spec.variants.items()},
        tuned=None if tuned is None else tuned.summary,
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


class _Used(dict[str, Section]):
    """Sections by kind of evaluation, and which of them were asked for."""

    def __init__(self, sections: Mapping[str, Section]) -> None:
        super().__init__(sections)
        self.kinds: set[str] = set()

    def __getitem__(self, kind: str) -> Section:
        self.kinds.add(kind)
        return super().__getitem__(kind)


def _place(planned: dict[str, Planned], entry: Planned, where: str) -> None:
    """Add a cell to those by results folder; the same one again is no other."""
    other = planned.setdefault(entry.results, entry)
    if other is not entry and (other.cell != entry.cell or decisive(other.settings) != decisive(entry.settings)):
        raise EwsError(f"{where}: two different cells would share {entry.results}.")
