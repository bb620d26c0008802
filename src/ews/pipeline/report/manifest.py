"""A study's manifest, `results/<study>/study.json`: which runs stand behind its tables, and how they are named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError, unknown
from ews.core.files import read_json
from ews.pipeline.report.reported import Trained
from ews.pipeline.study.naming import spell

EWS = "ews"
DROPOUT = "dropout"
AXES = ("dataset", "architecture", "augmentation", "method")
EVALUATIONS = ("clean", "corruption", "perturbation", "adversarial", "adaptive")
REMAKE = "Make the manifest again with `ews study manifest STUDY --out ...`."


@dataclass(frozen=True)
class Label:
    """How tables name a row: keys of params.yaml; the method may carry swept values (`ews, width=0.5`)."""

    dataset: str
    architecture: str
    augmentation: str
    method: str

    @property
    def group(self) -> tuple[str, str, str]:
        """What is alike for all methods that are compared with each other."""
        return (self.dataset, self.architecture, self.augmentation)

    def value(self, axis: str) -> str:
        """Return the value on one of :data:`AXES`."""
        return str(getattr(self, axis))

    def __str__(self) -> str:
        return "/".join(self.value(axis) for axis in AXES)


@dataclass(frozen=True)
class Entry:
    """One cell of a study: a run, and how it was evaluated.

    Attributes:
        run: folder below results/runs; ends in ``/seed<k>``.
        evaluation: subfolder with non-default evaluation settings, or "".
        label: how tables name it.
        seed: the training's seed.
        cell: the resolved parameters.
        differs: the values that are not the defaults, as ``ews.width=0.5``.
        corrupted: whose corrupted images were measured: ``generated`` here, or the ``official`` published ones.
    """

    run: str
    evaluation: str
    label: Label
    seed: int
    cell: Mapping[str, Any]
    differs: tuple[str, ...]
    corrupted: str = "generated"

    @property
    def trained(self) -> Trained:
        """What published numbers are looked up by: names, and the values that differ from the defaults, or none."""
        label = self.label
        method = str(self.cell["method"]["name"])
        return Trained(label.dataset, label.architecture, label.augmentation, method, self.differs)

    @property
    def vanilla(self) -> bool:
        """Whether the method has no component: ordinary training."""
        return not self.cell["method"]["components"]

    @property
    def routed(self) -> bool:
        """Whether the network has a router, which the adaptive attack deceives."""
        return "dynamic" in self.cell.get("architecture", {})

    @property
    def circumstances(self) -> dict[str, Any]:
        """Everything but method and seed: what a fair comparison of two methods has in common."""
        rest = {key: value for key, value in self.cell.items() if key not in ("method", "seed")}
        return {**rest, "evaluation": self.evaluation}

    def run_folder(self, runs: Path) -> Path:
        """Return the run's folder."""
        return runs / self.run

    def results_folder(self, runs: Path) -> Path:
        """Return the folder of the run's evaluations."""
        return runs / self.run / self.evaluation if self.evaluation else runs / self.run


@dataclass(frozen=True)
class Manifest:
    """A study as the reports see it; see :func:`load` for the fields."""

    study: str
    title: str
    evaluations: tuple[str, ...]
    corruptions: tuple[str, ...]
    test_images: int | None
    rows: tuple[str, ...] | None
    entries: tuple[Entry, ...]
    perturbations: tuple[str, ...] = ()
    imagenet: tuple[str, ...] = ()
    adversarial: Mapping[str, Any] | None = None
    adaptive: Mapping[str, Any] | None = None
    teachers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def labels(self) -> list[Label]:
        """The rows of the study's tables, in the order of the manifest."""
        return list(dict.fromkeys(entry.label for entry in self.entries))

    def of(self, label: Label) -> list[Entry]:
        """Return a row's entries, one per seed, by ascending seed."""
        return sorted((entry for entry in self.entries if entry.label == label), key=lambda entry: entry.seed)

    def baseline(self, label: Label) -> Label | None:
        """Return the row that this one is compared with, which differs from it in the method alone, or None.

        Vanilla, if the study has it; else, as in adversarial training, whose recipe vanilla does not share, a row with
        ``ews`` is compared with the same method without it. Itself for a row that others are compared with. Same data,
        network, augmentation, recipe and evaluation settings, as resolved; so a recipe that a sweep changed is
        compared with vanilla under that recipe.
        """
        here = self.of(label)[0]
        alike = [other for other in self.labels if self.of(other)[0].circumstances == here.circumstances]
        for other in alike:
            if self.of(other)[0].vanilla:
                return other
        without = {other: _without_ews(self.of(other)[0]) for other in alike}
        for other in alike:
            compared = [row for row in alike if row != other and without[row] == without[other]]
            if self.of(other)[0].cell["method"]["components"] == without[label] and compared:
                return other
        return None

    def references(self, label: Label) -> list[Label]:
        """Return the rows that a row's differences are printed against: its baseline, unless that is itself.

        For rows with subnets also dropout, if the study has it: what the paper sets EWS beside (Table 1).
        """
        baseline, here = self.baseline(label), self.of(label)[0]
        found = [] if baseline in (None, label) else [baseline]
        if any(component["name"] == EWS for component in here.cell["method"]["components"]):
            found += [
                other
                for other in self.labels
                if [component["name"] for component in self.of(other)[0].cell["method"]["components"]] == [DROPOUT]
                and self.of(other)[0].circumstances == here.circumstances
            ]
        return [row for row in found if row is not None]


def load(path: Path | str) -> Manifest:
    """Read and check a manifest.

    Keys: ``study``, ``title``, ``evaluations`` (of :data:`EVALUATIONS`), ``corruptions`` (names),
    ``perturbations`` (names, where evaluated), ``imagenet`` (data sets with the constants of ImageNet, if any),
    ``adversarial`` and ``adaptive`` (settings of the attacks, where evaluated), ``test_images`` (null: all),
    ``teachers`` (cells by run that rows learn from and that are no rows), ``cells`` (objects with ``run``,
    ``evaluation``, ``label``, ``seed``, ``cell``) and optionally ``rows`` (which
    of :data:`AXES` become rows of the table; the others become groups of columns).

    Raises:
        EwsError: a key is missing or of a wrong type, or two cells have the same label and seed.
    """
    raw = read_json(path)
    try:
        manifest = Manifest(
            study=str(raw["study"]),
            title=str(raw.get("title") or ""),
            evaluations=tuple(raw["evaluations"]),
            corruptions=tuple(raw.get("corruptions") or ()),
            test_images=raw.get("test_images"),
            rows=tuple(raw["rows"]) if raw.get("rows") else None,
            entries=tuple(_entry(cell) for cell in raw["cells"]),
            perturbations=tuple(raw.get("perturbations") or ()),
            imagenet=tuple(raw.get("imagenet") or ()),
            adversarial=_adversary(raw),
            adaptive=_adaptive(raw),
            teachers={str(run): _taught(cell) for run, cell in (raw.get("teachers") or {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EwsError(f"{path}: not a study's manifest ({type(error).__name__}: {error}). {REMAKE}") from None
    if not manifest.entries:
        raise EwsError(f"{path}: the study has no cells. {REMAKE}")
    for name in manifest.evaluations:
        if name not in EVALUATIONS:
            raise unknown("evaluation", name, EVALUATIONS, where=str(path))
    for axis in manifest.rows or ():
        if axis not in AXES:
            raise unknown("axis", axis, AXES, where=f"{path}: rows")
    seen: dict[tuple[Label, int], str] = {}
    for entry in manifest.entries:
        other = seen.setdefault((entry.label, entry.seed), entry.run)
        if other != entry.run:
            raise EwsError(f"{path}: {entry.run} and {other} would be the same row and seed of the table. {REMAKE}")
    return manifest


def _adversary(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the attacks' settings of a study that evaluates them."""
    if "adversarial" not in raw["evaluations"]:
        return None
    found = raw["adversarial"]
    for key in ("epsilon", "step_size", "steps", "restarts"):
        found[key]
    found["autoattack"]["version"]
    return dict(found)


def _adaptive(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the settings of the attacks on routers, of a study that evaluates them."""
    if "adaptive" not in raw["evaluations"]:
        return None
    return {key: raw["adaptive"][key] for key in ("epsilon", "step_size", "steps", "restarts", "weights")}


def _taught(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the cell of a teacher."""
    cell["recipe"]["epochs"], cell["method"]["components"]
    return cell


def _without_ews(entry: Entry) -> list[Any]:
    """Return the components of a method, with their parameters, without the subnets."""
    return [component for component in entry.cell["method"]["components"] if component["name"] != EWS]


def _entry(raw: Mapping[str, Any]) -> Entry:
    label = Label(**{axis: str(raw["label"][axis]) for axis in AXES})
    cell = raw["cell"]
    for key in ("method", "recipe", "dataset"):
        cell[key]
    return Entry(
        run=str(raw["run"]),
        evaluation=str(raw.get("evaluation") or ""),
        label=label,
        seed=int(raw["seed"]),
        cell=cell,
        differs=tuple(f"{key}={spell(value)}" for key, value in raw["differs"].items()),
        corrupted=str(raw.get("corrupted", "generated")),
    )
