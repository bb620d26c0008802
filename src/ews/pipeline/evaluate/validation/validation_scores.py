"""The numbers that tables show of the evaluation on validation images."""

from collections.abc import Mapping

from ews.pipeline.evaluate.scores import Score, Scoring, listing
from ews.pipeline.evaluate.validation.validation_spec import ValidationFindings, ValidationOptions

CLEAN = "validation error"
CORRUPTED = "held-out corruption error"


def _scores(findings: ValidationFindings, options: ValidationOptions) -> dict[str, Score]:
    return {CLEAN: Score(findings.clean, findings.n), CORRUPTED: Score(findings.corrupted, findings.n)}


def _explain(options: ValidationOptions, counts: Mapping[str, str]) -> list[str]:
    number = counts.get(CLEAN) or counts.get(CORRUPTED) or ""
    return [
        f"{CLEAN.capitalize()} and {CORRUPTED}: on {f'{number} ' if number else ''}validation images, which trained no "
        f"network; as they are, and the mean over {listing(options.names)}, 5 severities each, none of the "
        "benchmark's 15."
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (),
    further=(CLEAN, CORRUPTED),
    explain=_explain,
    define=lambda metric, options, count: "",
)
