"""The numbers that tables show of the evaluation `corruption`."""

from collections.abc import Mapping, Sequence

import numpy as np

from ews.pipeline.evaluate import alexnet
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings, CorruptionOptions
from ews.pipeline.evaluate.metrics import mce
from ews.pipeline.evaluate.scores import Arrays, Score, Scoring, Wrong, listing, summary

CORRUPTION = "corruption error"
PER_CORRUPTION = "error: "
# Divided by AlexNet's published errors, and so of ImageNet's own classes alone, with the constants of ImageNet-C.
MCE = "mCE"

# The 15 corruptions that "corruption error" is defined over (Hendrycks and Dietterich 2019), in their order;
# a test holds this list to the one that the corruptions are made from.
BENCHMARK = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)


def means(corruptions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the means over the evaluated corruptions: what each is called, and which of them it is taken over.

    "corruption error" means the 15 of the benchmark, no more and no fewer. Where others were evaluated, or not all of
    the 15, there is an "error on N corruptions" over all that were, beside the former if that can be had.
    """
    whole = set(BENCHMARK) <= set(corruptions)
    found: dict[str, tuple[str, ...]] = {CORRUPTION: BENCHMARK} if whole else {}
    if not whole or len(corruptions) > len(BENCHMARK):
        found[f"error on {len(corruptions)} corruption{'s' if len(corruptions) > 1 else ''}"] = tuple(corruptions)
    return found


def averaged(corruptions: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the first of :func:`means`: that over the 15 of the benchmark, if all of them were evaluated."""
    return next(iter(means(corruptions).items()))


def ordered(corruptions: Sequence[str]) -> list[str]:
    """Return the benchmark's corruptions in its order, then the others in theirs."""
    rank = {name: place for place, name in enumerate(BENCHMARK)}
    return sorted(corruptions, key=lambda name: rank.get(name, len(rank)))


def by_severity(findings: CorruptionFindings) -> dict[str, dict[int, Score]]:
    """Return the score by corruption and severity."""
    found: dict[str, dict[int, Score]] = {}
    for row in findings.rows:
        found.setdefault(row.corruption, {})[row.severity] = Score(row.error, row.n)
    return found


def _scores(findings: CorruptionFindings, options: CorruptionOptions) -> Mapping[str, Score]:
    table = by_severity(findings)
    single = {name: summary(list(table[name].values())) for name in ordered(options.names)}
    # As many severities for each: the mean of the corruptions' means is the mean over all of their cells.
    scores = {metric: summary([single[name] for name in members]) for metric, members in means(options.names).items()}
    if findings.imagenet and options.profile == "imagenet" and CORRUPTION in scores:
        errors = {name: [single[name].error] for name in BENCHMARK}
        relative = mce(errors, {name: [alexnet.ERRORS[name]] for name in BENCHMARK})
        scores[MCE] = Score(relative, scores[CORRUPTION].n)
    return scores | {PER_CORRUPTION + name: score for name, score in single.items()}


def _define(metric: str, options: CorruptionOptions, count: str) -> str:
    if metric == MCE:
        return (
            "mCE: per corruption the mean error over 5 severities divided by AlexNet's published one, mean over "
            f"the 15 corruptions in percent, as in Table 2 of the paper, each on {count}."
        )
    members = means(options.names)[metric]
    names = "" if metric == CORRUPTION else f" ({listing(_named(members))})"
    many = f"{len(members):,} corruption{'' if len(members) == 1 else 's'}"
    return (
        f"{metric.capitalize()}: plain mean, not normalised by another network's errors, over {many}{names} × 5 "
        f"severities, each on {count}."
    )


def _named(members: Sequence[str]) -> list[str]:
    """Name corruptions in a sentence: the benchmark's 15 as such, if they are all among them."""
    if not set(BENCHMARK) <= set(members):
        return ordered(members)
    return ["the benchmark's 15", *(name for name in members if name not in BENCHMARK)]


def _wrong(arrays: Arrays, options: CorruptionOptions) -> Mapping[str, Wrong]:
    found = {}
    for metric, members in means(options.names).items():
        places = [list(arrays["names"]).index(name) for name in members]
        flags = arrays["prediction"][places] != arrays["label"]
        share = 100.0 * flags.mean(axis=(0, 1))
        found[metric] = Wrong(share, arrays["index"].astype(np.int64), flags.shape[0] * flags.shape[1])
    return found


SCORING = Scoring(
    scores=_scores,
    headline=lambda options: tuple(means(options.names)),
    divided={CORRUPTION: MCE},
    singles=lambda options: [PER_CORRUPTION + name for name in ordered(options.names)],
    define=_define,
    wrong=_wrong,
    compared=lambda options: tuple(means(options.names)),
)
