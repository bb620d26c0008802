"""Stability: how often the prediction flips along perturbation sequences of the test images, made as it goes."""

import sys

import numpy as np
from torch import nn

from ews.data.imagenet import are_imagenets
from ews.perturbations import NOISE, frames
from ews.perturbations.perturbed_batches import batches
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.perturbation.perturbation_spec import Flips, PerturbationFindings, PerturbationOptions
from ews.pipeline.evaluate.perturbation.stability import flip_probability, mean_flip_probability
from ews.pipeline.evaluate.predict import Predictions, predict
from ews.pipeline.evaluate.subject import Subject

TEST_IMAGES = "test_images.npy"


def evaluate(subject: Subject, options: PerturbationOptions, making: Making) -> Evaluation[PerturbationFindings]:
    """Measure the last epoch's weights on each perturbation. No frame is stored.

    An image's number in the random streams is its place in the whole test set, so that a subset of the test images has
    the sequences that it has in the whole. What is finished is kept, by perturbation, so that a killed evaluation goes
    on.

    Args:
        subject: what to measure.
        options: which perturbations, and whose constants, numbers of frames and seed.
        making: how many processes make frames.

    Returns:
        one row per perturbation: its number of frames, whether they are compared with the ``first`` or the
        ``previous`` one, flip probability in percent, and number of sequences; ``names`` (text), and for each name
        ``prediction_<name>`` and ``confidence_<name>`` [n, frames].

    Raises:
        EwsError: ``workers`` is negative, or the images are smaller than 16 pixels.
    """
    names, profile, seed = options.names, options.profile, options.seed
    network = subject.network(LAST)
    rows: list[Flips] = []
    arrays: dict[str, np.ndarray] = {"names": np.array(names, dtype=np.str_)}
    probabilities: dict[str, float] = {}
    for name in names:
        identity = {**partial_results.identity(subject), "perturbation": name, "profile": profile, "seed": seed}
        shape = (len(subject.indices), frames(name, profile))
        found = partial_results.predictions(subject.work, name, identity=identity, shape=shape)
        if found is None:
            found = _measure(subject, network, name=name, profile=profile, seed=seed, workers=making.workers)
            partial_results.put_predictions(subject.work, name, found, identity=identity)
        else:
            print(f"{name}: was done before", file=sys.stderr, flush=True)
        arrays |= {f"{key}_{name}": array for key, array in vars(found).items()}
        probabilities[name] = flip_probability(found.prediction, against_first=name in NOISE)
        rows.append(
            Flips(
                perturbation=name,
                frames=shape[1],
                compared="first" if name in NOISE else "previous",
                flip_probability=probabilities[name],
                n=shape[0],
            )
        )
        print(f"{name}: {probabilities[name]:.2f} % flips", file=sys.stderr, flush=True)
    print(f"mean: {mean_flip_probability(probabilities):.2f} % flips", file=sys.stderr, flush=True)
    findings = PerturbationFindings(imagenet=are_imagenets(subject.dataset.classes), rows=tuple(rows))
    return Evaluation(findings, arrays=arrays)


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
