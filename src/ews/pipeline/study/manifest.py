"""A study's manifest, `results/<study>/study.json`: which runs stand behind its tables, and how they are named.

Written here from a plan, read by the reports: one class for both.
"""

from typing import Any

from pydantic import Field, JsonValue, SerializeAsAny, ValidationInfo, field_validator, model_validator

from ews.core.documents import Document
from ews.core.errors import EwsError
from ews.core.values import Line
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import CorruptedSet, Options
from ews.pipeline.study.cell import Cell

AXES = ("dataset", "architecture", "augmentation", "method")


class Label(Document):
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


class Choice(Document):
    """The values that tuning chose for one entry of a study's grid.

    Attributes:
        dataset: under which they were tried; so are ``architecture`` and ``augmentation``.
        arm: the entry: a method, or a variant of one.
        values: by key path.
        error: the validation error that chose them, percent, mean over the seeds of the trials.
        at_edge: key paths whose value is the smallest or the largest of several numbers that were tried.
    """

    dataset: str
    architecture: str
    augmentation: str
    arm: str
    values: dict[str, JsonValue]
    error: float
    at_edge: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str, str]:
        """Under what they were tried."""
        return (self.dataset, self.architecture, self.augmentation)


class TunedSummary(Document):
    """How the values of a study's rows were chosen.

    Attributes:
        by: which validation error: ``clean`` or ``corruption``.
        seeds: of the trials, none of which is a row's.
        corruptions: of the validation images.
        validation_images: how many.
        trials: combinations of values that were tried for each entry of the grid.
        chosen: for each entry.
    """

    by: str
    seeds: tuple[int, ...]
    corruptions: tuple[str, ...]
    validation_images: int
    trials: int
    chosen: tuple[Choice, ...]


class Asked(Document):
    """An evaluation that a study wants of a cell, and all that its result depends on beside network and code."""

    kind: str
    options: SerializeAsAny[Options]

    @field_validator("options", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            spec = EVALUATIONS.find(info.data.get("kind", ""))
        except EwsError as error:
            raise ValueError(str(error)) from None
        return value if isinstance(value, spec.options) else spec.options.model_validate(value)


class Entry(Document):
    """One cell of a study: a run, and how it is measured.

    Attributes:
        run: folder below results/runs; ends in ``/seed<k>``.
        evaluation: subfolder with non-default evaluation settings, or "".
        label: how tables name it.
        cell: the resolved parameters.
        differs: the values that are not the defaults, by key, e.g. ``{"ews.width": 0.5}``.
        corrupted: how the corrupted images of its dataset are made.
        asked: the study's evaluations that apply to the cell, in the study's order.
    """

    run: str
    evaluation: str
    label: Label
    cell: Cell
    differs: dict[str, JsonValue]
    corrupted: CorruptedSet
    asked: tuple[Asked, ...]

    @property
    def seed(self) -> int:
        """The training run's seed."""
        return self.cell.seed

    @property
    def results(self) -> str:
        """Folder of the evaluations below results/runs."""
        return f"{self.run}/{self.evaluation}" if self.evaluation else self.run

    def options(self, kind: str) -> Options | None:
        """Return what an evaluation is asked for; None: the study does not want it of this cell."""
        return next((asked.options for asked in self.asked if asked.kind == kind), None)


class Manifest(Document):
    """What reports need to know of a study.

    Attributes:
        study: its name.
        title: one line.
        evaluations: kinds, in the order of params.yaml.
        variants: values by key path in params.yaml, by the name that rows have.
        tuned: how the values of its rows were chosen; None: they are those of params.yaml.
        entries: its cells.
        teachers: cells by run that rows learn from and that are no rows: what they cost is part of what their students
            cost.
    """

    study: str
    title: Line
    evaluations: tuple[str, ...]
    variants: dict[str, dict[str, JsonValue]] = Field(default={})
    tuned: TunedSummary | None = None
    entries: tuple[Entry, ...] = Field(min_length=1)
    teachers: dict[str, Cell]

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        for kind in self.evaluations:
            if kind not in EVALUATIONS:
                raise ValueError(f"unknown evaluation {kind!r}; valid: {', '.join(EVALUATIONS)}")
        seen: dict[tuple[str, int], str] = {}
        for entry in self.entries:
            other = seen.setdefault((str(entry.label), entry.seed), entry.results)
            if other != entry.results:
                raise ValueError(f"{entry.results} and {other} would be the same row and seed of the table")
        return self

    @property
    def labels(self) -> list[Label]:
        """The rows of the study's tables, in the order of the manifest."""
        return list(dict.fromkeys(entry.label for entry in self.entries))

    def of(self, label: Label) -> list[Entry]:
        """Return a row's entries, one per seed, by ascending seed."""
        return sorted((entry for entry in self.entries if entry.label == label), key=lambda entry: entry.seed)
