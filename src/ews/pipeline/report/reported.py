"""The numbers that papers report (`reported.yaml`), checked on load, with their sources and footnotes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError, model_validator

from ews.core.documents import Document
from ews.core.errors import EwsError, unknown
from ews.core.yaml_files import key_path, read_yaml
from ews.methods.method_registry import METHODS
from ews.pipeline.evaluate.corruption.corruption_scores import MCE
from ews.pipeline.evaluate.perturbation.perturbation_scores import MFR, PER_RATE
from ews.pipeline.evaluate.perturbation.perturbation_spec import NAMES as PERTURBATIONS
from ews.pipeline.study.methods import VANILLA
from ews.pipeline.study.naming import spell

DEFAULT = Path(__file__).with_name("reported.yaml")
# The data sets that the papers use. A re-encoded copy (cifar10_jpeg) is other data: no number may claim it.
Dataset = Literal["cifar10", "cifar100", "imagenet"]
Kind = Literal["standard", "adversarial"]
_RATES = tuple(PER_RATE + name for name in PERTURBATIONS)
# Under an attack that the source at hand does not name: for variants, which stand beside nothing that was measured.
ROBUST = "robust error"
METRICS = ("clean error", "corruption error", MCE, MFR, *_RATES, "pgd-20 error", "autoattack error", ROBUST)


@dataclass(frozen=True)
class Number:
    """A published number: percent, where it stands, and what is inconsistent about it ("" if nothing)."""

    value: float
    source: str
    footnote: str = ""


@dataclass(frozen=True)
class Setting:
    """How a paper trained its networks on one data set."""

    paper: str
    architecture: tuple[str, ...]
    train_images: int
    epochs: int


class Trained(NamedTuple):
    """What a number is of: the names of a cell, and the parameters that are not this project's defaults."""

    dataset: str
    architecture: str
    augmentation: str
    method: str
    differs: tuple[str, ...] = ()  # as `ews.width=0.5`, sorted


@dataclass(frozen=True)
class Comparison:
    """A published row that stands beside the tables of some studies.

    Attributes:
        trained: what the numbers are of.
        setting: in what they are unlike what is measured here.
        beside: components of methods, or vanilla; of studies that have one of them.
        numbers: by metric.
    """

    trained: Trained
    setting: str
    beside: tuple[str, ...]
    numbers: Mapping[str, Number]


@dataclass(frozen=True)
class Reported:
    """What papers report.

    Attributes:
        numbers: every number by (what was trained, metric, variant).
        settings: of the papers, by (data set, kind of training).
        comparisons: rows that stand beside whole tables, and beside no row of them.
    """

    numbers: Mapping[tuple[Trained, str, str], Number]
    settings: Mapping[tuple[str, str], Setting]
    comparisons: tuple[Comparison, ...] = ()

    def find(self, trained: Trained, metric: str) -> Number | None:
        """Return the number to print beside a run, if the paper has one for exactly this training run."""
        return self.numbers.get((trained, metric, ""))


class Paper(Document):
    """A paper, as sources cite it."""

    title: str
    authors: str
    year: int


class GivenSetting(Document):
    """A setting, as the file has it."""

    paper: str
    architecture: tuple[str, ...]
    train_images: int
    epochs: int


class Footnote(Document):
    """What is inconsistent about a number, by its row and its metric."""

    row: str
    metric: str
    text: str


class Block(Document):
    """A table of a paper, or a part: numbers by row, one per metric.

    Attributes:
        overrides: parameters that are not this project's defaults: of a component, of each row whose method has it; of
            `architecture`, `augmentation` or `crop`, of each row.
        variant: of a setting that no run here has, or of a second value of the same; "": neither.
        beside: components of methods, or vanilla: of which studies have one, these print the rows below their table.
    """

    paper: str
    table: str
    dataset: Dataset
    architecture: str
    metrics: tuple[str, ...]
    rows: dict[str, tuple[Annotated[float, Field(ge=0, le=200)], ...]]
    variant: str = ""
    beside: tuple[str, ...] = ()
    overrides: dict[str, JsonValue] = Field(default={})
    footnotes: tuple[Footnote, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Block":
        for metric in self.metrics:
            if metric not in METRICS:
                raise ValueError(f"metrics: unknown metric {metric!r}; valid: {', '.join(METRICS)}")
        for row, values in self.rows.items():
            if row.count("/") != 1 or not all(row.split("/")):
                raise ValueError(f"rows: {row!r} must be augmentation/method")
            if len(values) != len(self.metrics):
                raise ValueError(f"rows.{row}: must be a list of {len(self.metrics)} numbers, one per metric")
        for parameter in self.overrides:
            if not any(_concerns(parameter, row) for row in self.rows):
                raise ValueError(f"overrides: {parameter!r} is of no row's method; write component.parameter")
        for name in self.beside:
            if name not in (VANILLA, *METHODS):
                raise ValueError(f"beside: unknown component {name!r}; valid: {', '.join((VANILLA, *METHODS))}")
        if self.beside and not self.variant:
            raise ValueError("beside: needs a `variant` that says in what the setting is another one")
        for note in self.footnotes:
            if note.row not in self.rows or note.metric not in self.metrics:
                raise ValueError(f"footnotes: no number at {note.row!r}, {note.metric!r} in this block")
        return self

    def numbers(self, paper: str) -> dict[tuple[Trained, str, str], Number]:
        """Return the numbers by (what was trained, metric, variant)."""
        notes = {(note.row, note.metric): note.text.strip() for note in self.footnotes}
        found = {}
        for row, values in self.rows.items():
            for metric, value in zip(self.metrics, values, strict=True):
                note = notes.get((row, metric), "")
                found[self._trained(row), metric, self.variant] = Number(value, f"{paper}, {self.table}", note)
        return found

    def comparisons(self, paper: str) -> list[Comparison]:
        """Return the rows that stand beside the tables of some studies."""
        numbers = self.numbers(paper)
        return [
            Comparison(
                trained=trained,
                setting=self.variant,
                beside=self.beside,
                numbers={metric: numbers[trained, metric, self.variant] for metric in self.metrics},
            )
            for trained in map(self._trained, self.rows if self.beside else ())
        ]

    def _trained(self, row: str) -> Trained:
        augmentation, method = row.split("/")
        differs = tuple(f"{key}={spell(value)}" for key, value in sorted(self.overrides.items()) if _concerns(key, row))
        return Trained(self.dataset, self.architecture, augmentation, method, differs)


class File(Document):
    """The content of `reported.yaml`."""

    papers: dict[str, Paper]
    settings: dict[Dataset, dict[Kind, GivenSetting]]
    tables: tuple[Block, ...]


def load(path: Path | str = DEFAULT) -> Reported:
    """Read and check a file like `reported.yaml`.

    Raises:
        EwsError: unknown or missing key, a number that is none or is outside 0 to 200 %, a row of the
            wrong length, a number given twice, or a footnote on a number that is not there.
    """
    content = _read(Path(path))
    papers = {key: f"{paper.authors} ({paper.year})" for key, paper in content.papers.items()}

    def named(key: str, where: str) -> str:
        if key not in papers:
            raise unknown("paper", key, papers, where=f"{path}: {where}")
        return papers[key]

    settings: dict[tuple[str, str], Setting] = {
        (dataset, kind): Setting(
            named(given.paper, f"settings.{dataset}.{kind}"), given.architecture, given.train_images, given.epochs
        )
        for dataset, kinds in content.settings.items()
        for kind, given in kinds.items()
    }
    numbers: dict[tuple[Trained, str, str], Number] = {}
    comparisons: list[Comparison] = []
    for place, block in enumerate(content.tables):
        paper = named(block.paper, f"tables[{place}]")
        comparisons += block.comparisons(paper)
        for key, number in block.numbers(paper).items():
            if key in numbers:
                raise EwsError(
                    f"{path}: tables[{place}]: {'/'.join(key[0][:4])}, {key[1]}: stands twice; give the second one a "
                    "`variant`."
                )
            numbers[key] = number
    return Reported(numbers=numbers, settings=settings, comparisons=tuple(comparisons))


def _read(path: Path) -> File:
    content = read_yaml(path, missing=f"The project's own is {DEFAULT}.")
    try:
        return File.model_validate_json(json.dumps(content.value))
    except ValidationError as error:
        with content.located():
            lines = [
                f"{path}: {key_path(problem['loc']) or 'the whole'}: {problem['msg']}."
                for problem in error.errors(include_url=False)
            ]
            raise EwsError("\n".join(lines)) from None


def _concerns(parameter: str, row: str) -> bool:
    """Tell whether a parameter is of a row: of its network, augmentation or crop, or of a component of its method."""
    return parameter.partition(".")[0] in ("architecture", "augmentation", "crop", *row.partition("/")[2].split("+"))
