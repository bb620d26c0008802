"""How often predictions change along perturbation sequences, as pure functions. All results are in percent."""

from collections.abc import Mapping

import numpy as np

from ews.core.errors import EwsError


def flip_probability(predictions: np.ndarray, *, against_first: bool) -> float:
    """Return the flip probability of Hendrycks and Dietterich (2019, section 4.2), in percent, 0 to 100.

    Args:
        predictions: integers [n, T], n >= 1, T >= 2; each sequence's predicted classes, frame by frame. A network
            whose output is not finite predicts a class of its own (:mod:`ews.pipeline.evaluate.predict`).
        against_first: whether each frame is compared with the sequence's first, as for noise, whose frames have
            nothing to do with each other; otherwise with the one before it.

    Raises:
        ValueError: there is nothing to compare.
    """
    if predictions.ndim != 2 or predictions.shape[0] < 1 or predictions.shape[1] < 2:
        raise ValueError(f"predictions of shape {predictions.shape}: flips need [n, T], n at least 1 and T at least 2")
    before = predictions[:, :1] if against_first else predictions[:, :-1]
    flips = np.count_nonzero(predictions[:, 1:] != before)
    return 100 * flips / (predictions.shape[0] * (predictions.shape[1] - 1))


def mean_flip_probability(probabilities: Mapping[str, float]) -> float:
    """Return mFP, the plain mean over perturbations, in percent.

    Raises:
        EwsError: there is none.
    """
    if not probabilities:
        raise EwsError("mFP: no perturbations to average; give at least one.")
    return float(np.mean(list(probabilities.values())))


def flip_rates(probabilities: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, float]:
    """Return each perturbation's flip rate: its flip probability in percent of the baseline network's.

    Raises:
        EwsError: the baseline lacks one of the perturbations, or never flips on it.
    """
    for name in probabilities:
        if baseline.get(name, 0) <= 0:
            raise EwsError(f"flip rate: the baseline has no flips on {name!r}; known: {', '.join(baseline)}.")
    return {name: 100 * value / baseline[name] for name, value in probabilities.items()}


def mean_flip_rate(probabilities: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Return mFR, the mean of the flip rates, in percent; 100 is as stable as the baseline.

    Raises:
        EwsError: there is no perturbation, or the baseline is not of the same ones, or never flips on one.
    """
    if set(probabilities) != set(baseline):
        raise EwsError(
            f"mFR: flip probabilities of {', '.join(probabilities) or 'nothing'}, but the baseline's are of "
            f"{', '.join(baseline)}."
        )
    return mean_flip_probability(flip_rates(probabilities, baseline))
