"""The numbers that tables show of the evaluation `perturbation`."""

from collections.abc import Mapping, Sequence

from ews.pipeline.evaluate import alexnet
from ews.pipeline.evaluate.perturbation import stability
from ews.pipeline.evaluate.perturbation.perturbation_spec import NAMES, PerturbationFindings, PerturbationOptions
from ews.pipeline.evaluate.scores import Score, Scoring, listing, summary

# Divided by AlexNet's published numbers, and so of ImageNet's own classes alone, with the constants of ImageNet-P.
MFR = "mFR"
MFP = "mFP"
PER_PERTURBATION = "flip probability: "
PER_RATE = "flip rate: "


def mean_name(perturbations: Sequence[str]) -> str:
    """Return what the mean flip probability over the evaluated perturbations is called: "mFP" means all ten."""
    if set(NAMES) <= set(perturbations):
        return MFP
    return f"flip probability on {len(perturbations)} perturbation{'s' if len(perturbations) > 1 else ''}"


def _scores(findings: PerturbationFindings, options: PerturbationOptions) -> Mapping[str, Score]:
    flips = {row.perturbation: Score(row.flip_probability, row.n) for row in findings.rows}
    probabilities = {name: score.error for name, score in flips.items()}
    metric, images = mean_name(options.names), summary(list(flips.values())).n
    scores = {metric: Score(stability.mean_flip_probability(probabilities), images)}
    if findings.imagenet and options.profile == "imagenet":
        rates = stability.flip_rates(probabilities, alexnet.FLIP_PROBABILITIES)
        if metric == MFP:
            scores[MFR] = Score(stability.mean_flip_rate(probabilities, alexnet.FLIP_PROBABILITIES), images)
        scores |= {PER_RATE + name: Score(rate, flips[name].n) for name, rate in rates.items()}
    return scores | {PER_PERTURBATION + name: score for name, score in flips.items()}


def _define(metric: str, options: PerturbationOptions, count: str) -> str:
    sequences = f"the sequences of {count}"
    names = f"{len(options.names)} perturbations" if metric in (MFP, MFR) else listing(options.names)
    flips = "how often the prediction differs from that on the previous frame (noise: on the first)"
    if metric == MFR:
        return (
            f"mFR: flip probability ({flips}) divided by AlexNet's published one, mean over the {names} in percent, as "
            f"in Table 3 of the paper, but on frames that were never coded as video, on {sequences}."
        )
    plain = "plain mean, not normalised by another network's (Table 3 of the paper is: mFR),"
    name = metric if metric == MFP else metric[:1].upper() + metric[1:]
    return f"{name}: {flips}, {plain} over {names}, on {sequences}."


SCORING = Scoring(
    scores=_scores,
    headline=lambda options: (mean_name(options.names),),
    divided={MFP: MFR, **{PER_PERTURBATION + name: PER_RATE + name for name in NAMES}},
    singles=lambda options: [PER_PERTURBATION + name for name in options.names],
    define=_define,
)
