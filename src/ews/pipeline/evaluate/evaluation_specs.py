"""What a kind of evaluation says about itself, once; nothing here brings torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from ews.core.documents import Document
from ews.core.fingerprint import Use
from ews.core.values import Count, Section, Seed
from ews.pipeline.study.cell import Cell

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Percent = Annotated[float, Field(ge=0, le=100)]
Images = Annotated[int, Field(ge=1)]
"""How many different test images a number is of."""


class CorruptedSet(Section):
    """How the corrupted test images of a dataset are made."""

    source: Literal["generated", "official"] = Field(
        default="generated", description="generated: made here; official: the published files (cifar10, cifar100)."
    )
    profile: Literal["cifar", "tiny", "imagenet"] = Field(description="Whose severity constants: 32, 64 or 224 pixels.")
    seed: Seed = Field(description="Seed of the random corruptions.")


class NoSection(Section):
    """Of an evaluation that params.yaml says nothing about."""


class Options(Section):
    """What an evaluation is asked for, as its command line has it: all that decides its result but network and code.

    Where images lie and how many processes make them are not among it: no result depends on that.
    """

    test_images: Count | None = Field(default=None, description="Stratified subset of the test images; null: all.")


class Findings(Document):
    """What an evaluation found, rows included: the part `result` of its JSON file. Errors are in percent."""


@dataclass(frozen=True)
class Settings:
    """All that params.yaml says, with a study's overrides, of how one cell is measured.

    Attributes:
        test_images: size of a stratified subset of the test images; None: all.
        sections: the sections of ``evaluation`` by kind of evaluation.
        corrupted: how the corrupted images of the cell's dataset are made.
    """

    test_images: int | None
    sections: Mapping[str, Section]
    corrupted: CorruptedSet


S = TypeVar("S", bound=Section)
O = TypeVar("O", bound=Options)  # noqa: E741 - options
F = TypeVar("F", bound=Findings)


T = TypeVar("T", tuple[str, ...], tuple[float, ...])


def distinct(values: T) -> T:
    """Return the values.

    Raises:
        ValueError: one stands twice.
    """
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{value} stands twice")
    return values


def every(cell: Cell) -> bool:
    """Say that an evaluation applies to all cells."""
    return True


def no_subsets(options: Options) -> Mapping[str, int | None]:
    """Say that an evaluation takes all test images that are measured."""
    return {}


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec(Generic[S, O, F]):
    """A kind of evaluation.

    Attributes:
        name: as params.yaml and `ews evaluate` spell it.
        summary: a line for tables of evaluations.
        section: its parameters in params.yaml; each field has a range, a description and a default.
        ways: keys of the section that say how something is computed; no result depends on them.
        one: what a study has one of, where several values of a key in the section would be several of it, e.g.
            ``"adversary"``: such keys cannot be swept.
        options: what it is asked for.
        asked: returns that, given all settings.
        subsets: of its options, how many of the measured test images each part of it takes, by key below its section;
            None: all.
        of_validation: whether it measures on validation images, and its subsets are of these.
        applies: whether it says something about a cell.
        findings: the type of its result.
        implementation: imports and returns what measures. The code fingerprint of a result follows the imports in this
            function's body.
        scoring: imports and returns what makes numbers of tables from the findings; the fingerprint of a report follows
            the imports in its body.
        components: functions that import what an evaluation with these options runs beside.
        stored: whether it reads the dataset's corrupted sets where these are stored.
        workers: whether it takes processes that make images.
        figure: whether reports draw a figure of it alone, ``<kind>.svg``, in studies that ask for it.
        minutes: that its rule asks a batch system for.
        attacks: below `evaluation`, the section that has epsilon, step_size and steps of its attack, as its options do:
            planning checks that they go together; None: it attacks nothing.
        otherwise: what to tell, after the evaluation's name, someone whose study has no such cell.
    """

    name: str
    summary: str
    section: type[S]
    ways: frozenset[str] = field(default_factory=frozenset)
    one: str
    options: type[O]
    asked: Callable[[Settings], O]
    findings: type[F]
    implementation: Callable[[], Evaluate[O, F]]
    scoring: Callable[[], Scoring[O, F]]
    components: Callable[[O], Sequence[Use]] = lambda _: ()
    subsets: Callable[[O], Mapping[str, int | None]] = no_subsets
    of_validation: bool = False
    applies: Callable[[Cell], bool] = every
    stored: bool = False
    workers: bool = False
    figure: bool = False
    minutes: int = 60
    attacks: str | None = None
    otherwise: str = "applies to no cell of this study"


def section_of(settings: Settings, kind: str, expected: type[S]) -> S:
    """Return the section of an evaluation as its type."""
    section: Any = settings.sections[kind]
    if not isinstance(section, expected):
        raise TypeError(f"evaluation.{kind} is a {type(section).__name__}, not a {expected.__name__}")
    return section
