"""A study's manifest as the reports see it: its rows, and which of them are compared with which."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, model_validator

from ews.core.documents import read_sealed
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.report.reported import Trained
from ews.pipeline.study import manifest as study
from ews.pipeline.study.cell import ComponentCell, TeacherRun
from ews.pipeline.study.manifest import AXES, Label
from ews.pipeline.study.methods import components, recipe
from ews.pipeline.study.naming import RECIPE, spell

__all__ = ["AXES", "Entry", "Label", "Manifest", "load"]

EWS = "ews"
DROPOUT = "dropout"
REMAKE = "Make the manifest again with `ews study manifest STUDY --out ...`."

Method = tuple[list[ComponentCell], dict[str, TeacherRun]]
O = TypeVar("O", bound=Options)  # noqa: E741


class Entry(study.Entry):
    """One cell of a study: a run, and how it is measured."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The values that are not the defaults, as ``ews.width=0.5``."""
        return tuple(f"{key}={spell(value)}" for key, value in self.differs.items())

    @property
    def trained(self) -> Trained:
        """What published numbers are looked up by: names, and the values that differ from the defaults, or none."""
        label = self.label
        return Trained(label.dataset, label.architecture, label.augmentation, self.cell.method.name, self.changed)

    @property
    def recipe(self) -> str:
        """The name of its recipe: the one that the study gives, else that of its kind of training."""
        return str(self.differs.get(RECIPE) or recipe(components(self.cell.method.name)))

    @property
    def vanilla(self) -> bool:
        """Whether the method has no component: ordinary training."""
        return not self.cell.method.components

    @property
    def circumstances(self) -> dict[str, Any]:
        """Everything but method and seed: what a fair comparison of two methods has in common, as JSON types."""
        rest = self.cell.model_dump(mode="json", exclude={"method", "teachers", "seed"})
        return {**rest, "evaluation": self.evaluation}

    @property
    def method(self) -> Method:
        """The components of the method, with their parameters, and the networks that it learns from."""
        return list(self.cell.method.components), self.cell.teachers

    @property
    def without_ews(self) -> Method:
        """The same without the subnets."""
        return [component for component in self.cell.method.components if component.name != EWS], self.cell.teachers


class Manifest(study.Manifest):
    """A study.

    Attributes:
        rows: which of :data:`AXES` become rows of the table, the others groups of columns; None: as fits.
    """

    entries: tuple[Entry, ...] = Field(min_length=1)
    rows: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _axes(self) -> "Manifest":
        for axis in self.rows or ():
            if axis not in AXES:
                raise ValueError(f"unknown axis {axis!r}; valid: {', '.join(AXES)}")
        return self

    def of(self, label: Label) -> list[Entry]:  # type: ignore[override]  # entries of this module
        """Return a row's entries, one per seed, by ascending seed."""
        return sorted((entry for entry in self.entries if entry.label == label), key=lambda entry: entry.seed)

    def options(self, kind: str) -> list[Options]:
        """Return the different options of an evaluation, in the order of the cells that it is wanted of."""
        found: list[Options] = []
        for entry in self.entries:
            options = entry.options(kind)
            if options is not None and options not in found:
                found.append(options)
        return found

    def asked(self, kind: str, expected: type[O]) -> O | None:
        """Return the options of an evaluation, of the first cell that it is wanted of; None: of none."""
        for options in self.options(kind):
            if isinstance(options, expected):
                return options
        return None

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
        without = {other: self.of(other)[0].without_ews for other in alike}
        for other in alike:
            compared = [row for row in alike if row != other and without[row] == without[other]]
            if self.of(other)[0].method == without[label] and compared:
                return other
        return None

    def references(self, label: Label) -> list[Label]:
        """Return the rows that a row's differences are printed against: its baseline, unless that is itself.

        For rows with subnets also dropout, if the study has it: what the paper sets EWS beside (Table 1).
        """
        baseline, here = self.baseline(label), self.of(label)[0]
        found = [] if baseline in (None, label) else [baseline]
        if EWS in here.cell.method.names:
            found += [
                other
                for other in self.labels
                if self.of(other)[0].cell.method.names == (DROPOUT,)
                and self.of(other)[0].circumstances == here.circumstances
            ]
        return [row for row in found if row is not None]


def load(path: Path | str) -> Manifest:
    """Read and check a manifest.

    Raises:
        EwsError: missing, of another content, or two cells have the same label and seed; a line per key that is wrong.
    """
    return read_sealed(path, Manifest, remedy=REMAKE)
