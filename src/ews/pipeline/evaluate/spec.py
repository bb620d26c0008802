"""What a kind of evaluation says about itself, once; nothing here brings torch.

The rules, the command line, planning, manifests, records, tables and documentation are derived from specs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import Field

from ews.core.documents import Document
from ews.core.values import Count, Section, Seed

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Profile = Literal["cifar", "tiny", "imagenet"]
Percent = Annotated[float, Field(ge=0, le=100)]
Images = Annotated[int, Field(ge=1)]
"""How many different test images a number is of."""


T = TypeVar("T", list[str], tuple[str, ...], list[float], tuple[float, ...])


def distinct(values: T) -> T:
    """Return the values.

    Raises:
        ValueError: one stands twice.
    """
    if len(set(values)) < len(values):
        raise ValueError(f"one stands twice: {', '.join(map(str, values))}")
    return values


class EvaluationOptions(Section):
    """Everything that decides an evaluation's result; the options of `ews evaluate KIND` are these fields."""

    test_images: Count | None = Field(default=None, description="Stratified subset of the test images; null: all.")


class Findings(Document):
    """What an evaluation found, rows included: the part `result` of its JSON file. Errors are in percent."""


@dataclass(frozen=True)
class Request:
    """How a study measures a cell: what options are made of.

    Attributes:
        test_images: `evaluation.test_images` of params.yaml.
        settings: `evaluation.<kind>` by kind, of those that have a section.
        profile: of the dataset's corrupted set.
        seed: likewise.
        official: whether the published corrupted images are measured, not those made here.
    """

    test_images: int | None
    settings: Mapping[str, Section]
    profile: Profile
    seed: Seed
    official: bool


O = TypeVar("O", bound=EvaluationOptions)  # noqa: E741
F = TypeVar("F", bound=Findings)


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec(Generic[O, F]):
    """A kind of evaluation.

    Attributes:
        name: as params.yaml, the command line and the files spell it.
        summary: a line for tables of evaluations.
        settings: its section of params.yaml, `evaluation.<name>`; None: it has none.
        options: the type of what decides its result.
        findings: the type of its result.
        asked: from what a study says to the options.
        implementation: imports and returns what measures; the code fingerprint of an evaluation follows the imports in
            this function's body.
        scoring: imports and returns what makes numbers of tables from the findings; the fingerprint of a report
            follows the imports in its body.
        components: (module of the registry, name) of further code that an evaluation with these options runs.
        router: whether it applies only to networks with a router.
        stored: whether it reads the dataset's corrupted sets where these are stored.
        workers: whether it takes processes that make images.
        minutes: that the rule asks a batch system for.
    """

    name: str
    summary: str
    settings: type[Section] | None = None
    options: type[O]
    findings: type[F]
    asked: Callable[[Request], O]
    implementation: Callable[[], Evaluate[O, F]]
    scoring: Callable[[], Scoring[O, F]]
    components: Callable[[O], list[tuple[str, str]]] = lambda _: []
    router: bool = False
    stored: bool = False
    workers: bool = False
    minutes: int = 60
