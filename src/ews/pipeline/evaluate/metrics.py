"""Error measures as pure functions. All errors are in percent, 0 to 100."""

from collections.abc import Mapping, Sequence

import numpy as np

from ews.core.errors import EwsError

Errors = Mapping[str, Sequence[float]]
"""Corruption -> errors by severity, the mildest first."""


def correct(prediction: np.ndarray, labels: np.ndarray) -> int:
    """Return how many of the predictions [n] equal the labels [n]."""
    if prediction.shape != labels.shape:
        raise ValueError(f"predictions {prediction.shape} and labels {labels.shape} differ in shape")
    # Compared as int64: predictions are stored in a type that may not hold every label.
    return int(np.count_nonzero(prediction.astype(np.int64) == labels.astype(np.int64)))


def error(prediction: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of wrong predictions, in percent; n must be at least 1."""
    if len(labels) == 0:
        raise ValueError("the error over no images is not defined")
    return 100 * (len(labels) - correct(prediction, labels)) / len(labels)


def mce(errors: Errors, baseline: Errors) -> float:
    """Return the mean corruption error of Hendrycks and Dietterich (2019), in percent of the baseline's.

    Per corruption the sum of errors over severities is divided by that of the baseline network (AlexNet for
    ImageNet-C); the ratios are averaged. 100 is as good as the baseline.

    Raises:
        EwsError: the two do not have the same corruptions and severities, or the baseline makes no error on one.
    """
    empty = [name for name, by_severity in errors.items() if len(by_severity) == 0]
    if not errors or empty:
        raise EwsError(f"no errors to average{': ' + ', '.join(empty) if empty else ''}; give at least one severity.")
    shape = {name: len(by_severity) for name, by_severity in errors.items()}
    other = {name: len(by_severity) for name, by_severity in baseline.items()}
    if shape != other:
        raise EwsError(f"mCE: corruptions and numbers of severities differ: {shape} against the baseline's {other}.")
    ratios = []
    for name, by_severity in errors.items():
        if sum(baseline[name]) <= 0:
            raise EwsError(f"mCE: the baseline has no error on {name!r}, so that nothing can be divided by it.")
        ratios.append(sum(by_severity) / sum(baseline[name]))
    return 100 * float(np.mean(ratios))
