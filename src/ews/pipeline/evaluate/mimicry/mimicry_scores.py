"""The numbers that tables show of the evaluation `mimicry`."""

from collections.abc import Mapping
from statistics import fmean

from ews.pipeline.evaluate.mimicry.mimicry_spec import MimicryFindings, MimicryOptions
from ews.pipeline.evaluate.scores import Score, Scoring

MIMICKED = "mimicked: "
HELD_OUT = MIMICKED + "held-out images"
FITTED = MIMICKED + "fitted images"
CONSTANT = MIMICKED + "by a constant"
LOSS = MIMICKED + "loss increase"
SPREAD = "spread of factors"


def _scores(findings: MimicryFindings, options: MimicryOptions) -> Mapping[str, Score]:
    changed = [row for row in findings.rows if row.explained is not None]
    shares = [row.explained for row in changed if row.explained is not None]
    if not shares:
        return {}
    scores = {
        HELD_OUT: Score(fmean(one.held_out for one in shares), findings.held_out),
        FITTED: Score(fmean(one.fitted for one in shares), findings.fitted),
        CONSTANT: Score(fmean(one.constant for one in shares), findings.held_out),
    }
    # Sums, since a corruption may leave the loss nearly as it is; where they lower it, no share of it has a meaning.
    increase = sum(row.losses.corrupted - row.losses.clean for row in changed)
    if increase > 0:
        mimicked = sum(row.losses.mimicked - row.losses.clean for row in changed)
        scores[LOSS] = Score(100 * mimicked / increase, findings.held_out)
    scores[SPREAD] = Score(100 * fmean(row.spread for row in changed), findings.fitted)
    return scores


def _explain(options: MimicryOptions, counts: Mapping[str, str]) -> list[str]:
    others, fitted = counts.get(HELD_OUT, "the"), counts.get(FITTED, "the")
    increase = ""
    if LOSS in counts:
        increase = (
            " Loss increase, on the images that were not fitted: that of the factors, summed over these corruptions, "
            "in percent of the corruptions' own sum; no number where for some seed this sum is not above 0."
        )
    return [
        f"Mimicked: for each of {len(options.names)} corruptions at severity {options.severity} one factor for each "
        "element of the kernels and of the normalisations' scales, all fitted together by "
        f"{options.steps} steps of L-BFGS so that the logits of {fitted} clean test images become those of the "
        f"corrupted ones; the share of the squared change of the logits that they make, on {others} images that were "
        "not fitted and on those that were; what adding the mean change to the logits makes on the former; root mean "
        "square of the factors less 1. In percent, means over the corruptions that change the logits; no number where "
        f"for some seed none does.{increase}"
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=(HELD_OUT, FITTED, CONSTANT, LOSS, SPREAD),
    explain=_explain,
    define=lambda metric, options, count: "",
)
