"""The numbers that tables show of the evaluation `subnets`."""

from collections.abc import Mapping

from ews.pipeline.evaluate.scores import Score, Scoring
from ews.pipeline.evaluate.subnets.subnets_spec import SubnetsFindings, SubnetsOptions

SUBNETS = "subnets: "
MEAN = SUBNETS + "mean error"
WEAK = SUBNETS + "95 % quantile"
DEVIATION = SUBNETS + "deviation"
FULL = SUBNETS + "whole network"


def _scores(findings: SubnetsFindings, options: SubnetsOptions) -> Mapping[str, Score]:
    values = {
        MEAN: findings.mean,
        WEAK: findings.quantile(0.95),
        DEVIATION: findings.deviation,
        FULL: findings.full,
    }
    return {name: Score(value, findings.n) for name, value in values.items()}


def statistics(options: SubnetsOptions) -> str:
    """Say in words by which statistics subnets normalise."""
    if options.statistics == "running":
        return "running statistics of the whole network"
    return f"statistics of the pass, at most {options.batch_size} images"


def _explain(options: SubnetsOptions, counts: Mapping[str, str]) -> list[str]:
    number = next(iter(counts.values()), "")
    return [
        f"Subnets: errors of {options.count:,} random subnets of width {options.width:g} (rounding "
        f"{options.rounding}), the same for all networks of one architecture, on {f'{number} ' if number else ''}"
        f"validation images, which trained no network; normalised by {statistics(options)}. Mean, 95 % quantile and "
        "standard deviation over the subnets, and the error of the whole network, measured in the same way; percent."
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=(MEAN, WEAK, DEVIATION, FULL),
    explain=_explain,
    define=lambda metric, options, count: "",
)
