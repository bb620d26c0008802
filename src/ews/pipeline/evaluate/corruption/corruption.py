"""Corruption error: the error on corrupted copies of the test images, per corruption and severity."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ews.core import files
from ews.core.errors import EwsError
from ews.corruptions import PROFILES
from ews.pipeline.artifacts.finished import LAST, RECORD
from ews.pipeline.evaluate import kept
from ews.pipeline.evaluate.base import Evaluation, Evaluator
from ews.pipeline.evaluate.images import SEVERITIES, Images, Made, Stored
from ews.pipeline.evaluate.metrics import error
from ews.pipeline.evaluate.predict import predict_batches
from ews.pipeline.evaluate.subject import Subject


def options(parser: ArgumentParser) -> None:
    """Add where the corrupted images are, or how they are made, and which of them to measure."""
    parser.add_argument(
        "--corrupted",
        type=Path,
        nargs="*",
        default=[],
        help="folder of <corruption>.npy, <corruption>.json and labels.npy, or these files; "
        "none: the images are corrupted while they are measured, and not stored",
    )
    parser.add_argument("--names", required=True, nargs="+", help="corruptions, in the order of the results")
    parser.add_argument("--seed", type=int, help="of the corruptions; stored sets must have been made with it")
    parser.add_argument("--profile", choices=PROFILES, help="whose severity constants; likewise")
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        help="processes that corrupt images, where none are stored; changes no result (default: one per core)",
    )


def evaluate(
    subject: Subject,
    *,
    corrupted: Sequence[Path],
    names: Sequence[str],
    seed: int | None,
    profile: str | None,
    workers: int,
) -> Evaluation:
    """Measure the last epoch's weights on each corruption at each severity.

    A subset of the test images is the same in every block, and that of the clean error. Stored images and those made
    while they are measured are the same bytes, and give the same predictions. What is finished is kept, by corruption
    and severity, so that a killed evaluation goes on.

    Args:
        subject: what to measure.
        corrupted: folder with ``<name>.npy``, uint8 [5 N, H, W, 3] for N test images, ``<name>.json`` and
            ``labels.npy``, [5 N], or files in it; none: nothing is stored.
        names: corruptions to measure; results keep their order.
        seed: of the corruptions; None: that of the stored sets, whatever it is.
        profile: whose severity constants; likewise.
        workers: processes that corrupt images, where none are stored.

    Returns:
        one row per corruption and severity; ``prediction`` and ``confidence`` [corruptions, 5, n], ``names``
        (text [corruptions]), ``severities`` (1 to 5), ``index`` and ``label`` (int64 [n]) of the images.

    Raises:
        EwsError: a file is missing, damaged, or belongs to other test images; a name stands twice; seed or profile is
            missing where images are made.
    """
    if len(set(names)) < len(names):
        raise EwsError(f"--names: {' '.join(names)}: one stands twice.")
    images = _images(subject, corrupted, names, seed=seed, profile=profile, workers=workers)
    network = subject.network(LAST)
    labels, indices = subject.labels, subject.indices
    blocks = [(name, severity) for name in names for severity in range(1, SEVERITIES + 1)]
    identities = {
        name: {**kept.identity(subject), "corruption": name, "images": images.identity(name)} for name in names
    }
    done = {
        (name, severity): kept.predictions(
            subject.work, f"{name}-{severity}", identity=identities[name], shape=(len(labels),)
        )
        for name, severity in blocks
    }
    wanted = [block for block in blocks if done[block] is None]
    if len(wanted) < len(blocks):
        print(f"{len(blocks) - len(wanted)} of {len(blocks)} parts were done before", file=sys.stderr, flush=True)
    rows, predictions, confidences = [], [], []
    with closing(images.blocks(wanted, indices=indices)) as stream:
        for name, severity in blocks:
            result = done[name, severity]
            if result is None:
                result = predict_batches(network, next(stream), device=subject.device)
                kept.put_predictions(subject.work, f"{name}-{severity}", result, identity=identities[name])
            wrong = error(result.prediction, labels)
            rows.append({"corruption": name, "severity": severity, "error": wrong, "n": len(labels)})
            predictions.append(result.prediction)
            confidences.append(result.confidence)
            if severity == SEVERITIES:
                mean = float(np.mean([row["error"] for row in rows[-SEVERITIES:]]))
                print(f"{name}: {mean:.2f} % error (mean over severities)", file=sys.stderr, flush=True)
    shape = (len(names), SEVERITIES, len(labels))
    return Evaluation(
        rows=rows,
        arrays={
            "prediction": np.array(predictions).reshape(shape),
            "confidence": np.array(confidences).reshape(shape),
            "names": np.array(names, dtype=np.str_),
            "severities": np.arange(1, SEVERITIES + 1, dtype=np.uint8),
            "index": indices,
            "label": labels,
        },
        about={
            "metric": "error by corruption and severity",
            "unit": "percent",
            "model": "last",
            "n": len(labels),
            "test_images": subject.test_images,
            "dataset": subject.dataset.name,
            "data": subject.dataset.checksum,
            "record": files.sha256(subject.run / RECORD),
            "corruptions": {name: images.about(name) for name in names},
        },
    )


def _images(
    subject: Subject,
    corrupted: Sequence[Path],
    names: Sequence[str],
    *,
    seed: int | None,
    profile: str | None,
    workers: int,
) -> Images:
    """Return the stored images, or those that are made as they are measured."""
    if corrupted:
        folders = {path if path.is_dir() or not path.suffix else path.parent for path in corrupted}
        if len(folders) > 1:
            raise EwsError(f"--corrupted: files of {len(folders)} folders ({', '.join(map(str, sorted(folders)))}).")
        return Stored(folders.pop(), names, dataset=subject.dataset, seed=seed, profile=profile)
    if seed is None or profile is None:
        raise EwsError(
            "--corrupted: without stored images --seed and --profile must say how to make them; give both, or the "
            "folder of the stored ones."
        )
    return Made(subject.dataset, seed=seed, profile=profile, workers=workers)


EVALUATOR = Evaluator(options=options, evaluate=evaluate)
