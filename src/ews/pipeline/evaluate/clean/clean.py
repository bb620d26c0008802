"""Clean error: the share of wrong predictions on the unchanged test images."""

from argparse import ArgumentParser

from ews.core import files
from ews.pipeline.artifacts.finished import BEST, LAST, RECORD
from ews.pipeline.evaluate.base import Evaluation, Evaluator
from ews.pipeline.evaluate.metrics import correct, error
from ews.pipeline.evaluate.predict import predict
from ews.pipeline.evaluate.subject import Subject


def options(parser: ArgumentParser) -> None:
    """Add nothing: the options of all evaluations suffice."""


def evaluate(subject: Subject) -> Evaluation:
    """Measure the last epoch's weights and, where validation images selected an epoch, that epoch's.

    The reported error is the last epoch's; ``best`` stands beside it. Predictions are of the last epoch's.
    """
    labels = subject.labels
    results = {}
    for name in (LAST, BEST):
        if subject.has(name):
            results[name] = predict(
                subject.network(name), subject.dataset.test_images, indices=subject.indices, device=subject.device
            )
    last = results[LAST].prediction
    row = {
        "metric": "clean error",
        "unit": "percent",
        "model": "last",
        "error": error(last, labels),
        "correct": correct(last, labels),
        "n": len(labels),
        "test_images": subject.test_images,
        "dataset": subject.dataset.name,
        "data": subject.dataset.checksum,
        "record": files.sha256(subject.run / RECORD),
    }
    if BEST in results:
        best = results[BEST].prediction
        row["best"] = {"error": error(best, labels), "correct": correct(best, labels), "n": len(labels)}
    return Evaluation(
        rows=[row],
        arrays={
            "prediction": results[LAST].prediction,
            "confidence": results[LAST].confidence,
            "index": subject.indices,
            "label": labels,
        },
    )


EVALUATOR = Evaluator(options=options, evaluate=evaluate)
