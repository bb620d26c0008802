"""What the evaluation on clean test images says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ews.core.documents import Document
from ews.pipeline.evaluate.evaluation_specs import (
    EvaluationSpec,
    Findings,
    Images,
    NoSection,
    Options,
    Percent,
    Settings,
)

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring


class CleanError(Document):
    """Of one set of weights: error in percent, correct ones, images."""

    error: Percent
    correct: Annotated[int, Field(ge=0)]
    n: Images


class CleanFindings(Findings):
    """The last epoch's weights, which are reported, and those of the epoch that validation images selected, if any."""

    last: CleanError
    best: CleanError | None = None


def asked(settings: Settings) -> Options:
    """Return what it is asked for."""
    return Options(test_images=settings.test_images)


def implementation() -> Evaluate[Options, CleanFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.clean.clean import evaluate

    return evaluate


def scoring() -> Scoring[Options, CleanFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.clean.clean_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="clean",
    summary="Error on the unchanged test images",
    section=NoSection,
    one="test set",
    options=Options,
    asked=asked,
    findings=CleanFindings,
    implementation=implementation,
    scoring=scoring,
)
