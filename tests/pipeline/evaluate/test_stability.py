"""Flip probabilities and rates against plain loops and hand-computed values, and AlexNet's published numbers."""

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.pipeline.evaluate.alexnet import ERRORS, FLIP_PROBABILITIES
from ews.pipeline.evaluate.metrics import mce
from ews.pipeline.evaluate.perturbation.stability import (
    flip_probability,
    flip_rates,
    mean_flip_probability,
    mean_flip_rate,
)


def slow(predictions, against_first):
    """The definition, one comparison at a time, averaged per sequence first."""
    per_sequence = []
    for sequence in predictions.tolist():
        flips = []
        for frame in range(1, len(sequence)):
            other = sequence[0] if against_first else sequence[frame - 1]
            flips.append(1 if sequence[frame] != other else 0)
        per_sequence.append(sum(flips) / len(flips))
    return 100 * sum(per_sequence) / len(per_sequence)


@pytest.mark.parametrize("against_first", [True, False])
@pytest.mark.parametrize(("n", "frames", "classes"), [(1, 2, 2), (7, 31, 3), (40, 16, 10), (3, 41, 1)])
def test_flip_probability_is_that_of_a_plain_loop(n, frames, classes, against_first):
    predictions = np.random.default_rng(n).integers(0, classes, (n, frames)).astype(np.uint8)
    assert flip_probability(predictions, against_first=against_first) == pytest.approx(slow(predictions, against_first))


@pytest.mark.parametrize(
    ("sequence", "previous", "first"),
    [
        ([4, 4, 4, 4, 4], 0, 0),
        ([4, 7, 7, 7, 7], 25, 100),
        ([4, 7, 4, 7, 4], 100, 50),
        ([4, 4, 4, 4, 7], 25, 25),
        ([0, 255, 0, 1, 1], 75, 75),
    ],
)
def test_flip_probability_by_hand(sequence, previous, first):
    predictions = np.array([sequence, sequence], np.uint8)
    assert flip_probability(predictions, against_first=False) == previous
    assert flip_probability(predictions, against_first=True) == first


@pytest.mark.parametrize("shape", [(0, 31), (3, 1), (3, 0), (31,), (2, 3, 4)])
def test_nothing_to_compare_is_refused(shape):
    with pytest.raises(ValueError, match="T at least 2"):
        flip_probability(np.zeros(shape, np.uint8), against_first=False)


def test_means_and_rates_by_hand():
    found, base = {"snow": 3.0, "tilt": 1.0}, {"snow": 12.0, "tilt": 2.0}
    assert mean_flip_probability(found) == 2.0
    assert flip_rates(found, base) == {"snow": 25.0, "tilt": 50.0}
    assert mean_flip_rate(found, base) == 37.5
    # The mean of ratios, not the ratio of means.
    assert mean_flip_rate(found, base) != 100 * 4.0 / 14.0
    assert mean_flip_rate(base, base) == 100


def test_other_perturbations_than_the_baselines_are_refused():
    with pytest.raises(EwsError, match="no perturbations"):
        mean_flip_probability({})
    with pytest.raises(EwsError, match="baseline has no flips on 'spatter'"):
        flip_rates({"spatter": 1.0}, FLIP_PROBABILITIES)
    with pytest.raises(EwsError, match="no flips on 'snow'"):
        flip_rates({"snow": 1.0}, {"snow": 0.0})
    with pytest.raises(EwsError, match="the baseline's are of"):
        mean_flip_rate({"snow": 1.0}, FLIP_PROBABILITIES)


def test_alexnets_own_numbers_are_a_hundred_per_cent():
    errors = {name: [error] for name, error in ERRORS.items()}
    assert mce(errors, errors) == pytest.approx(100)
    assert mean_flip_rate(FLIP_PROBABILITIES, FLIP_PROBABILITIES) == pytest.approx(100)


def test_alexnets_errors_are_the_means_over_published_severities():
    by_severity = {
        "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
        "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
        "impulse_noise": (0.78374, 0.89808, 0.9487, 0.9872, 0.99548),
        "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
        "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
        "motion_blur": (0.5843, 0.70048, 0.82108, 0.8975, 0.92638),
        "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
        "snow": (0.71726, 0.88392, 0.86468, 0.9187, 0.94952),
        "frost": (0.6139, 0.79734, 0.8879, 0.89942, 0.9343),
        "fog": (0.67474, 0.7605, 0.84378, 0.8726, 0.945),
        "brightness": (0.4514, 0.48502, 0.54048, 0.62166, 0.72440),
        "contrast": (0.64548, 0.7615, 0.88874, 0.9776, 0.9927),
        "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    }
    for name, errors in by_severity.items():
        assert ERRORS[name] == pytest.approx(100 * np.mean(errors), abs=1e-9)
    assert len(ERRORS) == 15
