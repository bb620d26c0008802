"""The numbers that tables show of the evaluation `adaptive`."""

from collections.abc import Mapping

from ews.pipeline.evaluate.adaptive.adaptive_spec import AdaptiveFindings, AdaptiveOptions
from ews.pipeline.evaluate.scores import SELECTED, Score, Scoring

ADAPTIVE = "adaptive error"
# Of a network with a router, in percent: mistakes on clean images, and on images that the adaptive attacks made.
SUSPECTED = "clean images suspected"
TRUSTED = "adversarial images trusted"


def _scores(findings: AdaptiveFindings, options: AdaptiveOptions) -> Mapping[str, Score]:
    scores: dict[str, Score] = {}
    for suffix, found in (("", findings.last), (SELECTED, findings.best)):
        if found is None:
            continue
        suspected, trusted = found.router.suspected, found.router.trusted
        scores[ADAPTIVE + suffix] = Score(found.adaptive.error, found.adaptive.n)
        scores[SUSPECTED + suffix] = Score(suspected.percent, suspected.n)
        if trusted is not None:
            scores[TRUSTED + suffix] = Score(trusted.percent, trusted.n)
    return scores


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=(ADAPTIVE, SUSPECTED, TRUSTED),
    define=lambda metric, options, count: "",
)
