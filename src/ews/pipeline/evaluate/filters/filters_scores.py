"""The numbers that tables show of the evaluation `filters`."""

from collections.abc import Callable, Mapping
from statistics import fmean

from ews.pipeline.evaluate.filters.filters_spec import FiltersFindings, FiltersOptions, LayerFilters
from ews.pipeline.evaluate.scores import SELECTED, Score, Scoring

FILTERS = "filters: "
SCALE = FILTERS + "scale"
KURTOSIS = FILTERS + "kurtosis"
NEAR_ZERO = FILTERS + "near zero"
GINI = FILTERS + "Gini of norms"
PURE = (SCALE, KURTOSIS)
"""Beginnings of those that are no percentages."""

SUMMARIES: Mapping[str, Callable[[LayerFilters], float]] = {
    SCALE: lambda layer: layer.scale,
    KURTOSIS: lambda layer: layer.kurtosis,
    NEAR_ZERO: lambda layer: layer.near_zero,
    GINI: lambda layer: layer.norm_gini,
}


def _scores(findings: FiltersFindings, options: FiltersOptions) -> Mapping[str, Score]:
    found = {"": findings.last, SELECTED: findings.best}
    return {
        name + suffix: Score(fmean(value(layer) for layer in layers), None)
        for suffix, layers in found.items()
        if layers is not None
        for name, value in SUMMARIES.items()
    }


def _explain(options: FiltersOptions, counts: Mapping[str, str]) -> list[str]:
    return [
        "Filters: means over the convolutions of the stem and the blocks. Scale: standard deviation of the weights "
        "times the root of the fan-in; kurtosis: 3 of a normal distribution, more with heavier tails; near zero: "
        f"percent of the weights below {options.near_zero:g} standard deviations of their layer; Gini of norms: "
        "coefficient of the Euclidean norms of a layer's filters, percent, 0 where all are alike. A normalisation "
        "undoes the scale, so that it tells of learning rate and weight decay as much as of the objective."
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=tuple(SUMMARIES),
    explain=_explain,
    define=lambda metric, options, count: "",
)
