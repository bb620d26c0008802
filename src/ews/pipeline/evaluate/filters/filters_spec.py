"""What the evaluation of the filters' weights says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ews.core.documents import Document
from ews.core.values import Positive, Section
from ews.pipeline.evaluate.evaluation_specs import (
    EvaluationSpec,
    Findings,
    Options,
    Percent,
    Settings,
    section_of,
)

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Bins = Annotated[int, Field(ge=1, le=1000)]
Number = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]


class FiltersSection(Section):
    """How the weights of filters are counted."""

    bins: Bins = Field(default=32, description="Of each histogram.")
    reach: Positive = Field(
        default=4.0,
        description="Histograms end at this many of the layer's standard deviations, and, of the weights as they are, "
        "of 1 / sqrt(fan-in).",
    )
    near_zero: Positive = Field(
        default=0.1, description="A weight is near zero below this many of the layer's standard deviations."
    )


class FiltersOptions(Options):
    """How the weights of filters are counted; test images play no part."""

    bins: Bins = Field(description="Of each histogram.")
    reach: Positive = Field(description="Where histograms end, see params.yaml.")
    near_zero: Positive = Field(description="In standard deviations of the layer.")


class LayerFilters(Document):
    """One convolution.

    Attributes:
        layer: its name in the network.
        filters: output channels.
        fan_in: weights of each.
        mean: of the weights.
        mean_absolute: of their absolute values.
        deviation: their standard deviation, with divisor n.
        kurtosis: fourth central moment by the squared variance: 3 of a normal distribution, more with heavier tails.
        near_zero: percent of the weights.
        norm: mean over the filters of the Euclidean norm.
        norm_deviation: standard deviation of these, with divisor n.
        norm_gini: their Gini coefficient, percent: 0 where all are alike, towards 100 where one has all.
    """

    layer: str
    filters: Number
    fan_in: Number
    mean: float
    mean_absolute: NonNegative
    deviation: NonNegative
    kurtosis: Annotated[float, Field(ge=1)]
    near_zero: Percent
    norm: NonNegative
    norm_deviation: NonNegative
    norm_gini: Percent

    @property
    def scale(self) -> float:
        """Standard deviation in units of 1 / sqrt(fan-in), which keeps the size of activations."""
        return float(self.deviation * self.fan_in**0.5)


class FiltersFindings(Findings):
    """The layers of the last epoch's weights and of those that validation images selected, if any."""

    last: Annotated[tuple[LayerFilters, ...], Field(min_length=1)]
    best: Annotated[tuple[LayerFilters, ...], Field(min_length=1)] | None = None


def asked(settings: Settings) -> FiltersOptions:
    """Return what it is asked for; of no images."""
    return FiltersOptions(**dict(section_of(settings, "filters", FiltersSection)))


def implementation() -> Evaluate[FiltersOptions, FiltersFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.filters.filters import evaluate

    return evaluate


def scoring() -> Scoring[FiltersOptions, FiltersFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.filters.filters_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="filters",
    summary="Distribution of the filters' weights by layer, AW-Net's first finding",
    section=FiltersSection,
    one="way to count weights",
    options=FiltersOptions,
    asked=asked,
    findings=FiltersFindings,
    implementation=implementation,
    scoring=scoring,
    figure=True,
)
