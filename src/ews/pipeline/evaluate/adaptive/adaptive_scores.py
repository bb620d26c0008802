"""The numbers that tables show of the evaluation `adaptive`."""

from collections.abc import Mapping

from ews.attacks.norms import IN_WORDS, spelled
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


def _explain(options: AdaptiveOptions, counts: Mapping[str, str]) -> list[str]:
    starts = "one uniform start" if options.restarts == 1 else f"{options.restarts} uniform starts"
    weights = ", ".join(f"{weight:g}" for weight in options.weights)
    radius, step = (spelled(value, options.norm) for value in (options.epsilon, options.step_size))
    images = next(images for name, images in counts.items() if name.startswith(ADAPTIVE))
    return [
        f"Adaptive error in percent, lower is better, of networks with a router: PGD-{options.steps}, then as "
        "many steps up the cross-entropy plus a weight times the router's, so that it takes the adversarial image "
        f"for clean, with the weights {weights} and {starts} each; steps of {step}, "
        f"within {radius} of the image in {IN_WORDS[options.norm]}; the worst case, image by "
        f"image, on {images} test images. "
        "AutoAttack tries more steps and targets: where its error is higher, this one is no worst case. What the "
        "router makes of these images, in percent: clean ones that it suspects to be adversarial; of those that "
        "were attacked, being right before, the ones that it trusts as clean."
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=(ADAPTIVE, SUSPECTED, TRUSTED),
    explain=_explain,
    define=lambda metric, options, count: "",
)
