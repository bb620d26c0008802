"""Error on validation images, clean and under corruptions that the test does not have: what tuning chooses by."""

from contextlib import closing
from itertools import islice

import numpy as np

from ews.corruptions import SEVERITIES
from ews.corruptions.corrupted_batches import batches
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.held_out import held_out
from ews.pipeline.evaluate.metrics import error
from ews.pipeline.evaluate.predict import BATCH, predict, predict_batches
from ews.pipeline.evaluate.subject import Subject
from ews.pipeline.evaluate.validation.validation_spec import HeldOutError, ValidationFindings, ValidationOptions

TRAIN_IMAGES = "train_images.npy"


def evaluate(subject: Subject, options: ValidationOptions, making: Making) -> Evaluation[ValidationFindings]:
    """Measure the last epoch's weights; no test image is touched.

    Returns:
        ``clean`` and ``prediction`` (predicted classes [n] and [corruptions, 5, n]), ``names`` (text [corruptions]),
        ``index`` (int64 [n], positions among the training images) and ``label``.

    Raises:
        EwsError: the dataset holds no validation images, or fewer than are asked for.
    """
    dataset = subject.dataset
    indices = held_out(dataset, options.images)
    labels = np.asarray(dataset.train_labels[indices])
    network = subject.network(LAST)
    clean = predict(network, dataset.train_images, indices=indices, device=subject.device)
    blocks = [(name, severity) for name in options.names for severity in SEVERITIES]
    made = batches(
        dataset.folder / TRAIN_IMAGES,
        blocks=blocks,
        indices=indices,
        batch=BATCH,
        seed=options.seed,
        profile=options.profile,
        workers=making.workers,
    )
    passes = -(-len(indices) // BATCH)
    with closing(made):
        found = [predict_batches(network, islice(made, passes), device=subject.device) for _ in blocks]
    wrong = np.array([error(one.prediction, labels) for one in found]).reshape(len(options.names), len(SEVERITIES))
    rows = tuple(
        HeldOutError(corruption=name, error=float(mean))
        for name, mean in zip(options.names, wrong.mean(axis=1), strict=True)
    )
    findings = ValidationFindings(
        clean=error(clean.prediction, labels), corrupted=float(wrong.mean()), rows=rows, n=len(labels)
    )
    arrays = {
        "clean": clean.prediction,
        "prediction": np.array([one.prediction for one in found]).reshape(*wrong.shape, len(labels)),
        "names": np.array(options.names, dtype=np.str_),
        "index": indices,
        "label": labels,
    }
    return Evaluation(findings, arrays=arrays)
