"""Means, spreads and paired differences over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Paired:
    """Mean difference over common seeds, and its 95 % t interval (both ends None with fewer than 2 pairs)."""

    mean: float
    low: float | None
    high: float | None
    pairs: int


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return statistics.fmean(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (divisor n - 1), or None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired | None:
    """Compare two methods over the seeds that both have.

    Args:
        first, second: value by seed.

    Returns:
        first - second: mean, and mean +- t(0.975, n - 1) s / sqrt(n) with s the sample standard
        deviation of the differences; None without a common seed. The interval tells of training
        from other seeds on the same test images, not of other test images.
    """
    differences = [first[seed] - second[seed] for seed in sorted(first) if seed in second]
    if not differences:
        return None
    return Paired(*interval(differences), len(differences))


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the mean and the ends of its 95 % t interval, mean +- t(0.975, n - 1) s / sqrt(n); None for one value."""
    centre, spread, count = mean(values), deviation(values), len(values)
    if spread is None:
        return centre, None, None
    if spread == 0:
        return centre, centre, centre  # scipy has no interval of width zero
    low, high = stats.t.interval(LEVEL, df=count - 1, loc=centre, scale=spread / math.sqrt(count))
    return centre, float(low), float(high)
