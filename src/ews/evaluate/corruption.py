"""Corruption error: the error on corrupted copies of the test images, per corruption and severity."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ews.errors import EwsError
from ews.evaluate.base import Evaluation, Evaluator
from ews.evaluate.metrics import error
from ews.evaluate.predict import predict
from ews.evaluate.subject import LAST, Subject

SEVERITIES = 5
"""Blocks in a corruption's file, the mildest first (the published layout)."""

LABELS = "labels.npy"
BUILD = "Build it with the target `corruptions`."


def options(parser: ArgumentParser) -> None:
    """Add where the corrupted images are and which of them to measure."""
    parser.add_argument("--corrupted", required=True, type=Path, help="folder of <corruption>.npy and labels.npy")
    parser.add_argument("--names", required=True, nargs="+", help="corruptions, in the order of the results")


def evaluate(subject: Subject, *, corrupted: Path, names: Sequence[str]) -> Evaluation:
    """Measure the last epoch's weights on each corruption at each severity.

    A subset of the test images is the same in every block, and that of the clean error.

    Args:
        subject: what to measure.
        corrupted: folder with ``<name>.npy``, uint8 [5 N, H, W, 3] for N test images, and ``labels.npy``, [5 N].
        names: corruptions to measure; results keep their order.

    Returns:
        one row per corruption and severity; ``prediction`` and ``confidence`` [corruptions, 5, n], ``names``
        (text [corruptions]) and ``severities`` (1 to 5).

    Raises:
        EwsError: a file is missing, damaged, or belongs to other test images; a name stands twice.
    """
    if len(set(names)) < len(names):
        raise EwsError(f"--names: {' '.join(names)}: one stands twice.")
    # All of them before the first is measured: a missing one should not be found out after an hour.
    check_labels(corrupted / LABELS, subject.dataset.test_labels)
    arrays = {name: open_images(corrupted, name, like=subject.dataset.test_images) for name in names}
    network = subject.network(LAST)
    labels, indices = subject.labels, subject.indices
    rows, predictions, confidences = [], [], []
    for name, images in arrays.items():
        blocks = images.reshape(SEVERITIES, -1, *images.shape[1:])
        results = [predict(network, block, indices=indices, device=subject.device) for block in blocks]
        for severity, result in enumerate(results, start=1):
            wrong = error(result.prediction, labels)
            rows.append({"corruption": name, "severity": severity, "error": wrong, "n": len(labels)})
        predictions.append([result.prediction for result in results])
        confidences.append([result.confidence for result in results])
        mean = float(np.mean([row["error"] for row in rows[-SEVERITIES:]]))
        print(f"{name}: {mean:.2f} % error (mean over severities)", file=sys.stderr, flush=True)
    return Evaluation(
        rows=rows,
        arrays={
            "prediction": np.array(predictions),
            "confidence": np.array(confidences),
            "names": np.array(names, dtype=np.str_),
            "severities": np.arange(1, SEVERITIES + 1, dtype=np.uint8),
        },
    )


def open_images(folder: Path, name: str, *, like: np.ndarray) -> np.ndarray:
    """Map one corruption's images: uint8 [5 N, H, W, 3] for the N test images ``like``.

    Raises:
        EwsError: not generated, damaged, or of another number or size of images.
    """
    path = folder / f"{name}.npy"
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.npy") if file.name != LABELS)
        raise EwsError(f"{path}: not generated. There: {', '.join(there) or 'none'}. {BUILD}")
    images = _load(path, mapped=True)
    expected = (SEVERITIES * len(like), *like.shape[1:])
    if images.dtype != np.uint8 or images.shape != expected:
        raise EwsError(
            f"{path}: is {images.dtype} {list(images.shape)}; {SEVERITIES} severities of {len(like)} test images are "
            f"uint8 {list(expected)}. Delete it. {BUILD}"
        )
    return images


def check_labels(path: Path, test_labels: np.ndarray) -> None:
    """Refuse corrupted images whose labels are not the test labels [N], once per severity.

    Raises:
        EwsError: missing, damaged or different.
    """
    if not path.is_file():
        raise EwsError(f"{path}: missing. {BUILD}")
    labels = _load(path, mapped=False)
    if not np.array_equal(labels, np.tile(test_labels, SEVERITIES)):
        raise EwsError(
            f"{path}: {list(labels.shape)} labels that are not the test labels, [{len(test_labels)}] in each of "
            f"{SEVERITIES} blocks: these are corruptions of other images. Delete {path.parent}. {BUILD}"
        )


def _load(path: Path, *, mapped: bool) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as problem:
        raise EwsError(f"{path}: damaged: {problem}. Delete it. {BUILD}") from None
    return array


EVALUATOR = Evaluator(options=options, evaluate=evaluate)
