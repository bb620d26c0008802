"""Means, spreads and intervals against values worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from ews.core.seeds import numpy_stream
from ews.pipeline.report.statistics import detectable, deviation, interval, mean, paired


def test_mean_and_sample_deviation() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert deviation([1.0, 2.0, 6.0]) == pytest.approx(math.sqrt(14 / 2))  # (4 + 1 + 9) / (n - 1)


def test_one_value_has_no_deviation() -> None:
    assert deviation([1.0]) is None


def test_paired_interval() -> None:
    result = paired({0: 5.0, 1: 4.0, 2: 6.0}, {0: 6.0, 1: 6.0, 2: 6.0})
    assert result is not None
    # Differences -1, -2, 0: mean -1, s = 1; t(0.975, 2) = 4.302653 from tables.
    half = 4.302653 / math.sqrt(3)
    assert (result.mean, result.pairs) == (-1.0, 3)
    assert result.low == pytest.approx(-1 - half, abs=1e-5)
    assert result.high == pytest.approx(-1 + half, abs=1e-5)


def test_pairs_are_formed_by_seed_and_only_over_common_ones() -> None:
    result = paired({2: 3.0, 0: 1.0, 7: 100.0}, {0: 1.5, 2: 4.0, 8: -100.0})
    assert result is not None
    assert (result.mean, result.pairs) == (-0.75, 2)


def test_one_pair_has_no_interval_and_none_has_no_result() -> None:
    result = paired({0: 1.0}, {0: 3.0})
    assert result is not None
    assert (result.mean, result.low, result.high, result.pairs) == (-2.0, None, None, 1)
    assert paired({0: 1.0}, {1: 3.0}) is None


def test_interval_of_a_mean() -> None:
    centre, low, high = interval([1.0, 2.0, 6.0])
    # s = sqrt(7), t(0.975, 2) = 4.302653 from tables.
    half = 4.302653 * math.sqrt(7) / math.sqrt(3)
    assert (centre, low, high) == (3.0, pytest.approx(3 - half, abs=1e-5), pytest.approx(3 + half, abs=1e-5))
    assert interval([4.0]) == (4.0, None, None)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_against_the_closed_forms_of_students_t(count: int) -> None:
    values = [float(number**2) for number in range(count)]
    p = 0.975
    # Quantiles of one, two and four degrees of freedom (Shaw 2006, "Sampling Student's T distribution", section 2).
    alpha = 4 * p * (1 - p)
    quantile = {
        2: math.tan(math.pi * (p - 0.5)),
        3: 2 * (p - 0.5) * math.sqrt(2 / alpha),
        5: 2 * math.sqrt(math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha) - 1),
    }[count]
    spread = deviation(values)
    assert spread is not None
    centre, low, high = interval(values)
    assert low is not None and high is not None
    assert centre - low == pytest.approx(quantile * spread / math.sqrt(count), rel=1e-12)
    assert high - centre == pytest.approx(centre - low, rel=1e-12)


def test_values_that_are_all_alike_have_an_interval_of_no_width() -> None:
    assert interval([2.5, 2.5, 2.5]) == (2.5, 2.5, 2.5)


def test_the_smallest_difference_is_that_of_power_tables() -> None:
    # Of differences with standard deviation 1, for 80 % power at 5 %, two-sided: G*Power's effect sizes.
    assert detectable(math.sqrt(0.5), 10) == pytest.approx(0.9960, abs=1e-3)
    assert detectable(math.sqrt(0.5), 34) == pytest.approx(0.4952, abs=1e-3)
    assert detectable(3.0, 10) == pytest.approx(3 * detectable(1.0, 10))


@pytest.mark.parametrize(("seeds", "comparisons"), [(2, 1), (3, 4), (8, 1), (8, 24)])
def test_the_smallest_difference_is_found_four_times_in_five(seeds: int, comparisons: int) -> None:
    shift, random = detectable(2.0, seeds, comparisons=comparisons), numpy_stream("power", seeds, comparisons)
    first, second = random.normal(shift, 2.0, (40_000, seeds)), random.normal(0, 2.0, (40_000, seeds))
    found = np.mean(stats.ttest_rel(first, second, axis=1).pvalue < 0.05 / comparisons)
    assert found == pytest.approx(0.8, abs=0.01)
