"""The evaluation `clean`: the error on the unchanged test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ews.core.documents import Document
from ews.pipeline.evaluate.spec import EvaluationOptions, EvaluationSpec, Findings, Images, Percent, Request

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

class CleanOptions(EvaluationOptions):
    """The options of all evaluations suffice."""


class CleanError(Document):
    """Of one set of weights: error in percent, correct ones, images."""

    error: Percent
    correct: Annotated[int, Field(ge=0)]
    n: Images


class CleanFindings(Findings):
    """The last epoch's weights, which are reported, and those of the epoch that validation images selected, if any."""

    last: CleanError
    best: CleanError | None = None


def _asked(request: Request) -> CleanOptions:
    return CleanOptions(test_images=request.test_images)


def _implementation() -> Evaluate[CleanOptions, CleanFindings]:
    from ews.pipeline.evaluate.clean.clean import evaluate

    return evaluate


def _scoring() -> Scoring[CleanOptions, CleanFindings]:
    from ews.pipeline.evaluate.clean.clean_scores import SCORING

    return SCORING


CLEAN = EvaluationSpec(
    name="clean",
    summary="error on the unchanged test images",
    options=CleanOptions,
    findings=CleanFindings,
    asked=_asked,
    implementation=_implementation,
    scoring=_scoring,
)
