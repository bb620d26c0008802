"""What the evaluation on clean test images says about itself."""

from ews.pipeline.evaluate.spec import EvaluationSpec, NoSection, Options, Settings


def asked(settings: Settings) -> Options:
    """Return what it is asked for."""
    return Options(test_images=settings.test_images)


SPEC = EvaluationSpec(
    name="clean",
    summary="Clean error and calibration on the test images",
    section=NoSection,
    one="test set",
    options=Options,
    asked=asked,
)
