"""Stability: how often the prediction flips along perturbation sequences of the test images, made as it goes."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

import numpy as np
from torch import nn

from ews.core import files
from ews.core.errors import EwsError
from ews.perturbations import NAMES, NOISE, PROFILES, frames
from ews.perturbations.batches import batches
from ews.pipeline.artifacts.finished import LAST, RECORD
from ews.pipeline.evaluate import kept
from ews.pipeline.evaluate.base import Evaluation, Evaluator
from ews.pipeline.evaluate.predict import Predictions, predict
from ews.pipeline.evaluate.stability import flip_probability, mean_flip_probability
from ews.pipeline.evaluate.subject import Subject

TEST_IMAGES = "test_images.npy"


def options(parser: ArgumentParser) -> None:
    """Add which perturbations to measure, and how to make them."""
    parser.add_argument(
        "--names", required=True, nargs="+", choices=NAMES, metavar="NAME",
        help=f"perturbations, in the order of the results; valid: {' '.join(NAMES)}",
    )  # fmt: skip
    parser.add_argument("--profile", required=True, choices=PROFILES, help="whose constants and numbers of frames")
    parser.add_argument("--seed", required=True, type=int, help="of noise and snow; any integer")
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        help="processes that make frames; changes no result (default: one per core)",
    )


def evaluate(subject: Subject, *, names: Sequence[str], profile: str, seed: int, workers: int) -> Evaluation:
    """Measure the last epoch's weights on each perturbation. No frame is stored.

    An image's number in the random streams is its place in the whole test set, so that a subset of the test images has
    the sequences that it has in the whole. What is finished is kept, by perturbation, so that a killed evaluation goes
    on.

    Args:
        subject: what to measure.
        names: perturbations to measure; results keep their order.
        profile: whose constants and numbers of frames.
        seed: of the random ones.
        workers: processes that make frames, 1 or more.

    Returns:
        one row per perturbation: its number of frames, whether they are compared with the ``first`` or the
        ``previous`` one, flip probability in percent, and number of sequences; ``names`` (text), and for each name
        ``prediction_<name>`` and ``confidence_<name>`` [n, frames].

    Raises:
        EwsError: a name stands twice, ``workers`` is less than 1, or the images are smaller than 16 pixels.
    """
    if len(set(names)) < len(names):
        raise EwsError(f"--names: {' '.join(names)}: one stands twice.")
    network = subject.network(LAST)
    rows = []
    arrays: dict[str, np.ndarray] = {"names": np.array(names, dtype=np.str_)}
    probabilities: dict[str, float] = {}
    for name in names:
        identity = {**kept.identity(subject), "perturbation": name, "profile": profile, "seed": seed}
        shape = (len(subject.indices), frames(name, profile))
        found = kept.predictions(subject.work, name, identity=identity, shape=shape)
        if found is None:
            found = _measure(subject, network, name=name, profile=profile, seed=seed, workers=workers)
            kept.put_predictions(subject.work, name, found, identity=identity)
        else:
            print(f"{name}: was done before", file=sys.stderr, flush=True)
        arrays |= {f"{key}_{name}": array for key, array in vars(found).items()}
        probabilities[name] = flip_probability(found.prediction, against_first=name in NOISE)
        rows.append(
            {
                "perturbation": name,
                "frames": shape[1],
                "compared": "first" if name in NOISE else "previous",
                "flip_probability": probabilities[name],
                "n": shape[0],
            }
        )
        print(f"{name}: {probabilities[name]:.2f} % flips", file=sys.stderr, flush=True)
    print(f"mean: {mean_flip_probability(probabilities):.2f} % flips", file=sys.stderr, flush=True)
    about = {
        "metric": "flip probability by perturbation",
        "unit": "percent",
        "model": "last",
        "n": len(subject.indices),
        "test_images": subject.test_images,
        "dataset": subject.dataset.name,
        "data": subject.dataset.checksum,
        "record": files.sha256(subject.run / RECORD),
        "profile": profile,
        "seed": seed,
    }
    return Evaluation(rows=rows, arrays=arrays, about=about)


def _measure(subject: Subject, network: nn.Module, *, name: str, profile: str, seed: int, workers: int) -> Predictions:
    """Predict every frame of every sequence; the results are [n, T]."""
    stacks = batches(
        subject.dataset.folder / TEST_IMAGES,
        name=name,
        indices=subject.indices,
        seed=seed,
        profile=profile,
        workers=workers,
    )
    parts = []
    for stack in stacks:
        images = stack.reshape(-1, *stack.shape[2:])
        found = predict(network, images, indices=np.arange(len(images)), device=subject.device)
        parts.append([array.reshape(stack.shape[:2]) for array in (found.prediction, found.confidence)])
    prediction, confidence = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Predictions(prediction=prediction, confidence=confidence)


EVALUATOR = Evaluator(options=options, evaluate=evaluate)
