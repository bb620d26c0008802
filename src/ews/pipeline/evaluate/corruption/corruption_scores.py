"""The numbers that tables show of the evaluation `corruption`."""

from collections.abc import Mapping, Sequence

import numpy as np

from ews.pipeline.evaluate import alexnet
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings, CorruptionOptions
from ews.pipeline.evaluate.metrics import mce
from ews.pipeline.evaluate.scores import Arrays, Score, Scoring, Wrong, listing, summary

CORRUPTION = "corruption error"
PER_CORRUPTION = "error: "
# Normalised by AlexNet's published numbers, and so for data sets with the constants of ImageNet alone.
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


def averaged(corruptions: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return what the mean over the evaluated corruptions is called, and which of them it is taken over.

    "corruption error" means the 15 of the benchmark; with any of these missing it is an "error on N
    corruptions", over all that were evaluated. Corruptions beyond the 15 stay out of the mean.
    """
    if set(BENCHMARK) <= set(corruptions):
        return CORRUPTION, BENCHMARK
    return f"error on {len(corruptions)} corruption{'s' if len(corruptions) > 1 else ''}", tuple(corruptions)


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
    metric, members = averaged(options.names)
    # As many severities for each: the mean of the corruptions' means is the mean over all of their cells.
    scores = {metric: summary([single[name] for name in members])}
    if _headline(options) == (MCE,):
        errors = {name: [single[name].error] for name in BENCHMARK}
        relative = mce(errors, {name: [alexnet.ERRORS[name]] for name in BENCHMARK})
        scores[MCE] = Score(relative, scores[metric].n)
    return scores | {PER_CORRUPTION + name: score for name, score in single.items()}


def _headline(options: CorruptionOptions) -> tuple[str, ...]:
    plain, _ = averaged(options.names)
    return (MCE,) if options.profile == "imagenet" and plain == CORRUPTION else (plain,)


def _define(metric: str, options: CorruptionOptions, count: str) -> str:
    if metric == MCE:
        return (
            "mCE: per corruption the mean error over 5 severities divided by AlexNet's published one, mean over "
            f"the 15 corruptions in percent, as in Table 2 of the paper, each on {count}."
        )
    _, members = averaged(options.names)
    names = "" if metric == CORRUPTION else f" ({listing(ordered(members))})"
    many = f"{len(members):,} corruption{'' if len(members) == 1 else 's'}"
    return (
        f"{metric.capitalize()}: plain mean, not normalised by another network's errors, over {many}{names} × 5 "
        f"severities, each on {count}."
    )


def _wrong(arrays: Arrays, options: CorruptionOptions) -> Mapping[str, Wrong]:
    metric, members = averaged(options.names)
    places = [list(arrays["names"]).index(name) for name in members]
    flags = arrays["prediction"][places] != arrays["label"]
    share = 100.0 * flags.mean(axis=(0, 1))
    return {metric: Wrong(share, arrays["index"].astype(np.int64), flags.shape[0] * flags.shape[1])}


SCORING = Scoring(
    scores=_scores,
    headline=_headline,
    singles=lambda options: [PER_CORRUPTION + name for name in ordered(options.names)],
    define=_define,
    wrong=_wrong,
    compared=lambda options: (averaged(options.names)[0],),
)
