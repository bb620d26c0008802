"""What the evaluation of random subnets says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ews.core.documents import Document
from ews.core.values import Count, Fraction, Section, Seed
from ews.pipeline.evaluate.evaluation_specs import (
    EvaluationSpec,
    Findings,
    Images,
    Options,
    Percent,
    Settings,
    section_of,
)
from ews.pipeline.study.cell import Cell

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the quantiles in the findings."""


class SubnetsSection(Section):
    """Which random subnets are measured, on which validation images, and how they normalise."""

    count: Count = Field(default=300, description="Random subnets.")
    width: Fraction = Field(default=0.7, description="Share of paths and channels that a subnet keeps.")
    rounding: Literal["ceil", "expected"] = Field(
        default="ceil", description="How width times n becomes a number of paths and channels."
    )
    images: Count | None = Field(default=1000, description="A stratified choice of the validation images; null: all.")
    statistics: Literal["batch", "running"] = Field(
        default="batch",
        description="Subnets normalise by their own pass over each batch, as while they are trained, or by the whole "
        "network's running statistics.",
    )
    batch_size: Annotated[int, Field(ge=2)] = Field(
        default=128, description="Images of a pass at most; the passes are of equal sizes, but for one image."
    )
    seed: Seed = Field(default=0, description="Of the subnets and of the images' order: the same for every cell.")


class SubnetsOptions(Options):
    """Which random subnets are measured, and how; test images play no part."""

    count: Count = Field(description="Random subnets.")
    width: Fraction = Field(description="Share of paths and channels that a subnet keeps.")
    rounding: Literal["ceil", "expected"] = Field(description="How width times n becomes a number.")
    images: Count | None = Field(default=None, description="A stratified choice of the validation images; null: all.")
    statistics: Literal["batch", "running"] = Field(description="By which subnets normalise.")
    batch_size: Annotated[int, Field(ge=2)] = Field(description="Images of a pass at most.")
    seed: Seed = Field(description="Of the subnets and of the images' order.")


class Quantile(Document):
    """The error, percent, that a share of the subnets does not exceed (linear interpolation)."""

    share: Annotated[float, Field(ge=0, le=1)]
    error: Percent


class SubnetsFindings(Findings):
    """Errors of random subnets of the last epoch's weights on validation images.

    Attributes:
        full: error of the whole network, normalised as the subnets are.
        mean: over the subnets.
        deviation: standard deviation over the subnets, with divisor n.
        quantiles: over the subnets, of :data:`SHARES`.
        subnets: SHA-256 of what the subnets keep: networks of one architecture are compared on the same ones.
        n: different images.
    """

    full: Percent
    mean: Percent
    deviation: Percent
    quantiles: Annotated[tuple[Quantile, ...], Field(min_length=1)]
    subnets: str
    n: Images

    @model_validator(mode="after")
    def _ordered(self) -> SubnetsFindings:
        pairs = [(one.share, one.error) for one in self.quantiles]
        if pairs != sorted(pairs) or [error for _, error in pairs] != sorted(error for _, error in pairs):
            raise ValueError("quantiles that are not in order")
        return self

    def quantile(self, share: float) -> float:
        """Return the quantile of a share.

        Raises:
            KeyError: the findings do not have it.
        """
        return {one.share: one.error for one in self.quantiles}[share]


def asked(settings: Settings) -> SubnetsOptions:
    """Return what it is asked for."""
    return SubnetsOptions(**dict(section_of(settings, "subnets", SubnetsSection)))


def subsets(options: SubnetsOptions) -> Mapping[str, int | None]:
    """Return how many of the validation images are measured on."""
    return {"images": options.images}


def applies(cell: Cell) -> bool:
    """Say whether a cell's network has subnets: not one that changes with its input."""
    return cell.architecture.dynamic is None


def implementation() -> Evaluate[SubnetsOptions, SubnetsFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.subnets.subnets import evaluate

    return evaluate


def scoring() -> Scoring[SubnetsOptions, SubnetsFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.subnets.subnets_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="subnets",
    summary="Errors of random subnets on validation images: what EWS works through",
    section=SubnetsSection,
    one="choice of random subnets",
    options=SubnetsOptions,
    asked=asked,
    findings=SubnetsFindings,
    implementation=implementation,
    scoring=scoring,
    subsets=subsets,
    of_validation=True,
    applies=applies,
    figure=True,
    otherwise="measures subnets, which networks that change with their input do not have",
)
