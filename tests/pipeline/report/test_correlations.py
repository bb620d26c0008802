"""Correlations between and within rows, against scipy, a regression on the rows, and how often intervals hold."""

import numpy as np
import pytest
from scipy import stats

from ews.core.seeds import numpy_stream
from ews.pipeline.report.correlations import Correlation, between, within

Rows = list[tuple[np.ndarray, np.ndarray]]


def drawn(rows: int, seeds: int, *, inside: float, name: str = "rows") -> Rows:
    """Rows whose means have the correlation -0.9, and whose seeds that of ``inside``."""
    random = numpy_stream(name, rows, seeds)
    means = random.multivariate_normal([0, 0], [[1, -0.9], [-0.9, 1]], size=rows) * 100
    own = random.multivariate_normal([0, 0], [[1, inside], [inside, 1]], size=(rows, seeds))
    return [(mean[0] + part[:, 0], mean[1] + part[:, 1]) for mean, part in zip(means, own, strict=True)]


def test_between_rows_it_is_scipy_s_of_the_means() -> None:
    rows = drawn(12, 4, inside=0.5)
    found = between(rows)
    expected = stats.pearsonr([first.mean() for first, _ in rows], [second.mean() for _, second in rows])
    interval = expected.confidence_interval(0.95)
    assert found is not None and found.count == 12 and found.low is not None
    assert (found.value, found.low, found.high) == pytest.approx((expected.statistic, interval.low, interval.high))
    assert found.value < -0.7


def test_within_rows_it_is_the_partial_correlation() -> None:
    rows = drawn(5, 8, inside=0.8)
    found = within(rows)
    # The residuals of a regression on the rows.
    design = np.kron(np.eye(5), np.ones((8, 1)))
    columns = [np.concatenate([row[place] for row in rows]) for place in (0, 1)]
    rests = [column - design @ np.linalg.lstsq(design, column, rcond=None)[0] for column in columns]
    assert found is not None and found.count == 40
    assert found.value == pytest.approx(np.corrcoef(*rests)[0, 1])
    # Rows of one seed say nothing of it.
    assert within([*rows, (np.array([1e6]), np.array([1e6]))]) == found


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = 0
    for place in range(400):
        found = within(drawn(4, 4, inside=0.6, name=f"trial {place}"))
        assert found is not None and found.low is not None and found.high is not None
        inside += found.low <= 0.6 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(np.array([1.0, 2.0]), np.array([3.0, 4.0]))] * 1,
        [(np.array([1.0, 1.0, 1.0, 1.0, 1.0]), np.arange(5.0))],
    ],
)
def test_too_little_is_no_correlation(rows: Rows) -> None:
    assert between(rows) is None and within(rows) is None


def test_few_values_have_no_interval() -> None:
    rows = [(np.array([one]), np.array([other])) for one, other in ((0.0, 1.0), (1.0, 3.0), (2.0, 2.0))]
    found = between(rows)
    assert found == Correlation(pytest.approx(0.5), None, None, 3) and str(found) == "r = 0.50, n = 3"
    assert str(Correlation(-0.5, -0.9, 0.25, 9)) == "r = -0.50 [-0.90, 0.25], n = 9"
