"""Means, spreads and paired differences over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95
POWER = 0.8
"""With which a difference is to be found, by convention."""


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


def detectable(spread: float, seeds: int, *, comparisons: int = 1) -> float:
    """Return the smallest difference that a paired t test over seeds finds with a power of :data:`POWER`.

    Two-sided, at the level 1 - :data:`LEVEL` divided by the number of comparisons (Bonferroni). The difference of two
    training runs of one seed is taken to spread by sqrt(2) ``spread``: as of two methods that spread alike and whose
    runs share nothing.

    Args:
        spread: standard deviation over seeds of one method, above 0.
        seeds: pairs, at least 2.
        comparisons: tests that are made, at least 1.
    """
    free = seeds - 1
    bound = stats.t.isf((1 - LEVEL) / comparisons / 2, free)

    # scipy's noncentral t distribution has no number at few degrees of freedom. So, over the quantiles of the measured
    # spread, the normal probability of either tail, that with the wrong sign included.
    places, weights = np.polynomial.legendre.leggauss(400)
    reach = bound * np.sqrt(stats.chi2.ppf((places + 1) / 2, free) / free)

    def missing(shift: float) -> float:
        found = stats.norm.cdf(shift - reach) + stats.norm.cdf(-shift - reach)
        return float(weights @ found / 2) - POWER

    high = float(bound)
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 0, high)) * math.sqrt(2 / seeds) * spread
