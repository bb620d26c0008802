"""What the evaluation on clean test images says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ews.pipeline.evaluate.spec import EvaluationSpec, NoSection, Options, Settings

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluator


def asked(settings: Settings) -> Options:
    """Return what it is asked for."""
    return Options(test_images=settings.test_images)


def implementation() -> Evaluator:
    """Return the evaluation."""
    from ews.pipeline.evaluate.clean import EVALUATOR

    return EVALUATOR


SPEC = EvaluationSpec(
    name="clean",
    summary="Clean error and calibration on the test images",
    section=NoSection,
    one="test set",
    options=Options,
    asked=asked,
    implementation=implementation,
)
