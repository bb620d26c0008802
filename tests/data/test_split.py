"""Stratified choices: proportions, determinism, independence of the order of classes."""

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.data.split import check_held_out, stratified

RNG = np.random.default_rng(0)
LABELS = [
    np.arange(100) % 10,
    RNG.integers(0, 7, 1000),
    np.repeat([0, 1, 2], [1, 5, 200]),
    RNG.choice([3, 9, 40], 55, p=[0.1, 0.2, 0.7]),
    np.zeros(13, dtype=np.int64),
]


@pytest.mark.parametrize("labels", LABELS, ids=range(len(LABELS)))
@pytest.mark.parametrize("part", [0.0, 0.013, 0.1, 0.5, 0.97, 1.0])
def test_counts_follow_the_proportions(labels: np.ndarray, part: float) -> None:
    count = round(part * len(labels))
    chosen = stratified(labels, count, key="test")
    assert chosen.dtype == np.int64 and chosen.shape == (count,)
    assert np.all(np.diff(chosen) > 0) and (count == 0 or 0 <= chosen[0] <= chosen[-1] < len(labels))
    for label in np.unique(labels):
        share = count * np.sum(labels == label) / len(labels)
        got = np.sum(labels[chosen] == label)
        assert np.floor(share) <= got <= np.ceil(share)


def test_left_over_places_go_to_the_largest_remainders() -> None:
    labels = np.repeat([0, 1, 2], [55, 28, 17])  # 10 of 100: shares 5.5, 2.8, 1.7
    assert np.bincount(labels[stratified(labels, 10, key="test")]).tolist() == [5, 3, 2]


def test_the_key_decides_and_nothing_else() -> None:
    labels = LABELS[1]
    first = stratified(labels, 100, key="a")
    np.random.default_rng(5).random(3)
    assert np.array_equal(first, stratified(labels.astype(np.int32), 100, key="a"))
    assert np.array_equal(first, stratified(labels, 100, key=("a",)))
    assert not np.array_equal(first, stratified(labels, 100, key="b"))


def test_the_choice_within_a_class_is_uniform() -> None:
    labels = np.zeros(20, dtype=np.int64)
    counts = np.zeros(20)
    for trial in range(2000):
        counts[stratified(labels, 5, key=("trial", trial))] += 1
    # Each position is binomial(2000, 1/4): standard deviation 19.4; five of them.
    assert np.all(np.abs(counts - 500) < 97)


def test_places_left_over_between_equal_classes_do_not_favour_the_first() -> None:
    labels = np.arange(100) % 10
    winners = np.zeros(10)
    for trial in range(500):
        winners += np.bincount(labels[stratified(labels, 1, key=("trial", trial))], minlength=10)
    assert np.all(np.abs(winners - 50) < 5 * np.sqrt(500 * 0.1 * 0.9))


def test_a_larger_choice_contains_a_smaller_one_of_equal_classes() -> None:
    labels = np.arange(200) % 10
    assert set(stratified(labels, 50, key="a")) < set(stratified(labels, 120, key="a"))


@pytest.mark.parametrize("count", [-1, 101])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(EwsError, match="valid: 0 to 100"):
        stratified(LABELS[0], count, key="a")


@pytest.mark.parametrize(
    ("held_out", "lost"),
    [([], None), ([0, 1, 4], None), ([0, 2, 4], "class 'cat'"), ([0, 1, 2, 3, 4], "class 'cat', 'dog'")],
)
def test_validation_that_takes_the_whole_of_a_class_is_refused(held_out: list[int], lost: str | None) -> None:
    labels, chosen = np.array([0, 1, 0, 1, 0]), np.array(held_out, dtype=np.int64)
    if lost is None:
        check_held_out(labels, chosen, classes=["cat", "dog"], where="set")
        return
    message = rf"^set: {len(held_out)} of 5 training images are held out .* none is left of {lost}\. Lower"
    with pytest.raises(EwsError, match=message):
        check_held_out(labels, chosen, classes=["cat", "dog"], where="set")
