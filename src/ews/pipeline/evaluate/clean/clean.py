"""Clean error: the share of wrong predictions on the unchanged test images."""

from ews.pipeline.artifacts.run_files import BEST, LAST
from ews.pipeline.evaluate.clean.clean_spec import CleanError, CleanFindings
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.evaluate.metrics import correct, error
from ews.pipeline.evaluate.predict import predict
from ews.pipeline.evaluate.subject import Subject


def evaluate(subject: Subject, options: Options, making: Making) -> Evaluation[CleanFindings]:
    """Measure the last epoch's weights and, where validation images selected an epoch, that epoch's.

    The reported error is the last epoch's; ``best`` stands beside it. Predictions are of the last epoch's.
    """
    labels = subject.labels
    found = {
        name: predict(
            subject.network(name), subject.dataset.test_images, indices=subject.indices, device=subject.device
        )
        for name in (LAST, BEST)
        if subject.run.has(name)
    }
    errors = {
        name: CleanError(error=error(one.prediction, labels), correct=correct(one.prediction, labels), n=len(labels))
        for name, one in found.items()
    }
    return Evaluation(
        CleanFindings(last=errors[LAST], best=errors.get(BEST)),
        arrays={
            "prediction": found[LAST].prediction,
            "confidence": found[LAST].confidence,
            "index": subject.indices,
            "label": labels,
        },
    )
