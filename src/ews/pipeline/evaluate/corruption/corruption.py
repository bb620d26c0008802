"""Corruption error: the error on corrupted copies of the test images, per corruption and severity."""

import sys
from contextlib import closing

import numpy as np

from ews.core.errors import EwsError
from ews.data.imagenet import are_imagenets
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.corruption.corrupted_images import Images, Made, Stored
from ews.pipeline.evaluate.corruption.corruption_spec import (
    SEVERITIES,
    CorruptionError,
    CorruptionFindings,
    CorruptionOptions,
)
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.metrics import error
from ews.pipeline.evaluate.predict import predict_batches
from ews.pipeline.evaluate.subject import Subject


def evaluate(subject: Subject, options: CorruptionOptions, making: Making) -> Evaluation[CorruptionFindings]:
    """Measure the last epoch's weights on each corruption at each severity.

    A subset of the test images is the same in every block, and that of the clean error. Stored images and those made
    while they are measured are the same bytes, and give the same predictions. What is finished is kept, by corruption
    and severity, so that a killed evaluation resumes.

    Args:
        subject: what to measure.
        options: which corruptions; seed and profile None: those of the stored sets, whatever they are.
        making: folder with ``<name>.npy``, uint8 [5 N, H, W, 3] for N test images, ``<name>.json`` and ``labels.npy``,
            [5 N], or files in it; none: nothing is stored.

    Returns:
        one row per corruption and severity; ``prediction`` and ``confidence`` [corruptions, 5, n], ``names``
        (text [corruptions]), ``severities`` (1 to 5), ``index`` and ``label`` (int64 [n]) of the images.

    Raises:
        EwsError: a file is missing, damaged, or belongs to other test images; seed or profile is missing where images
            are made.
    """
    names = options.names
    images = _images(subject, options, making)
    network = subject.network(LAST)
    labels, indices = subject.labels, subject.indices
    blocks = [(name, severity) for name in names for severity in SEVERITIES]
    identities = {
        name: {**partial_results.identity(subject), "corruption": name, "images": images.identity(name)}
        for name in names
    }
    done = {
        (name, severity): partial_results.predictions(
            subject.work, f"{name}-{severity}", identity=identities[name], shape=(len(labels),)
        )
        for name, severity in blocks
    }
    wanted = [block for block in blocks if done[block] is None]
    if len(wanted) < len(blocks):
        print(f"{len(blocks) - len(wanted)} of {len(blocks)} parts were done before", file=sys.stderr, flush=True)
    rows: list[CorruptionError] = []
    predictions, confidences = [], []
    with closing(images.blocks(wanted, indices=indices)) as stream:
        for name, severity in blocks:
            result = done[name, severity]
            if result is None:
                result = predict_batches(network, next(stream), device=subject.device)
                partial_results.put_predictions(subject.work, f"{name}-{severity}", result, identity=identities[name])
            wrong = error(result.prediction, labels)
            rows.append(CorruptionError(corruption=name, severity=severity, error=wrong, n=len(labels)))
            predictions.append(result.prediction)
            confidences.append(result.confidence)
            if severity == SEVERITIES[-1]:
                mean = float(np.mean([row.error for row in rows[-len(SEVERITIES) :]]))
                print(f"{name}: {mean:.2f} % error (mean over severities)", file=sys.stderr, flush=True)
    shape = (len(names), len(SEVERITIES), len(labels))
    return Evaluation(
        CorruptionFindings(
            imagenet=are_imagenets(subject.dataset.classes),
            rows=tuple(rows),
            corruptions={name: images.about(name) for name in names},
        ),
        arrays={
            "prediction": np.array(predictions).reshape(shape),
            "confidence": np.array(confidences).reshape(shape),
            "names": np.array(names, dtype=np.str_),
            "severities": np.array(SEVERITIES, dtype=np.uint8),
            "index": indices,
            "label": labels,
        },
    )


def _images(subject: Subject, options: CorruptionOptions, making: Making) -> Images:
    """Return the stored images, or those that are made as they are measured."""
    corrupted = making.corrupted
    if corrupted:
        folders = {path if path.is_dir() or not path.suffix else path.parent for path in corrupted}
        if len(folders) > 1:
            raise EwsError(f"--corrupted: files of {len(folders)} folders ({', '.join(map(str, sorted(folders)))}).")
        return Stored(folders.pop(), options.names, dataset=subject.dataset, seed=options.seed, profile=options.profile)
    if options.seed is None or options.profile is None:
        raise EwsError(
            "--corrupted: without stored images --seed and --profile must say how to make them; give both, or the "
            "folder of the stored ones."
        )
    return Made(subject.dataset, seed=options.seed, profile=options.profile, workers=making.workers)
