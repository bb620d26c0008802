"""Correlation between rows and within rows: whether methods differ together, and whether seeds of one method do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ews.pipeline.report.statistics import LEVEL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Pearson's r and the ends of its 95 % interval.

    Attributes:
        value: in [-1, 1].
        low, high: of Fisher's interval; None where there are too few values for one.
        count: values.
    """

    value: float
    low: float | None
    high: float | None
    count: int

    def __str__(self) -> str:
        """Return such as ``r = 0.81 [0.50, 0.94], n = 12``."""
        ends = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"r = {self.value:.2f}{ends}, n = {self.count}"


def between(rows: Sequence[tuple[Array, Array]]) -> Correlation | None:
    """Correlate the means of rows; None with fewer than 3 rows, or where all are alike in one of the two.

    Args:
        rows: two values for each seed of a row: (float64 [seeds], float64 [seeds]).
    """
    means = np.array([(np.mean(first), np.mean(second)) for first, second in rows], dtype=np.float64).reshape(-1, 2)
    return _correlation(means[:, 0], means[:, 1], fixed=0)


def within(rows: Sequence[tuple[Array, Array]]) -> Correlation | None:
    """Correlate the seeds' deviations from the means of their rows, of all rows together.

    It is the partial correlation with the rows held fixed: each row but one costs a degree of freedom. None with fewer
    than 3 values more than rows, or where nothing varies.

    Args:
        rows: as :func:`between` takes them; rows of one seed say nothing, and are left out.
    """
    pairs = [(first, second) for first, second in rows if len(first) > 1]
    if not pairs:
        return None
    first = np.concatenate([one - one.mean() for one, _ in pairs])
    second = np.concatenate([other - other.mean() for _, other in pairs])
    return _correlation(first, second, fixed=len(pairs) - 1)


def _correlation(first: Array, second: Array, *, fixed: int) -> Correlation | None:
    """Correlate two columns from which ``fixed`` further effects were taken."""
    free = len(first) - fixed
    # Rounding leaves something of deviations that are all nothing.
    alike = any(np.ptp(one) <= 1e-9 * max(1.0, np.abs(one).max(initial=0.0)) for one in (first, second) if len(one))
    if free < 3 or alike:
        return None
    value = float(np.clip(stats.pearsonr(first, second).statistic, -1, 1))
    if free < 4 or abs(value) == 1:
        return Correlation(value, None, None, len(first))
    # Fisher's transformation: normal with variance 1 / (n - 3 - fixed).
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) / math.sqrt(free - 3)
    centre = math.atanh(value)
    return Correlation(value, math.tanh(centre - reach), math.tanh(centre + reach), len(first))
