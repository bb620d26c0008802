"""The likelihood, entropy and sampling of ordered draws against enumeration and closed forms."""

from itertools import combinations
from math import comb, lgamma, log

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from ews.subnets import plackett_luce

SIZES = [(n, k) for n in range(1, 7) for k in range(1, n + 1)]


def logits_of(n: int, *, scale: float = 1.5) -> Tensor:
    return scale * torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))


def subset_probability(weights: Tensor, subset: tuple[int, ...]) -> float:
    """P(the draw is this set) without any order: item i arrives at rate w_i, the set has arrived before the rest.

    Inclusion and exclusion over the items of the set that arrive after the first of the rest.
    """
    rest = float(weights.sum() - weights[list(subset)].sum())
    if rest <= 1e-12:
        return 1.0
    total = 0.0
    for size in range(len(subset) + 1):
        for late in combinations(subset, size):
            total += (-1) ** size * rest / (rest + float(weights[list(late)].sum()))
    return total


@pytest.mark.parametrize(("n", "k"), SIZES)
def test_likelihood_sums_to_one_over_ordered_draws(n, k, ordered_draws):
    orders = ordered_draws(n, k)
    total = plackett_luce.log_likelihood(logits_of(n).expand(len(orders), n), orders, k).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(n, k) for n, k in SIZES if k < n])
def test_likelihood_summed_over_orders_is_the_probability_of_the_subset(n, k, ordered_draws):
    logits, orders = logits_of(n), ordered_draws(n, k)
    likelihood = plackett_luce.log_likelihood(logits.expand(len(orders), n), orders, k).exp()
    sums: dict[tuple[int, ...], float] = {}
    for order, value in zip(orders.tolist(), likelihood.tolist(), strict=True):
        key = tuple(sorted(order[:k]))
        sums[key] = sums.get(key, 0.0) + value
    assert len(sums) == comb(n, k)
    for subset, value in sums.items():
        assert value == pytest.approx(subset_probability(logits.exp(), subset), abs=1e-10)


@pytest.mark.parametrize(("n", "k"), SIZES)
def test_entropy_is_the_sum_over_steps_of_the_entropy_of_what_is_left(n, k, ordered_draws):
    logits = logits_of(n)
    for order in ordered_draws(n, k):
        direct = torch.zeros((), dtype=torch.float64)
        for step in range(k):
            direct += torch.distributions.Categorical(logits=logits[order[step:]]).entropy()
        assert float(plackett_luce.entropy(logits, order, k)) == pytest.approx(float(direct), abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (5, 5), (6, 3)])
def test_mean_entropy_is_the_entropy_of_the_ordered_draw(n, k, ordered_draws):
    orders = ordered_draws(n, k)
    logits = logits_of(n).expand(len(orders), n)
    log_p = plackett_luce.log_likelihood(logits, orders, k)
    mean = (log_p.exp() * plackett_luce.entropy(logits, orders, k)).sum()
    assert float(mean) == pytest.approx(float(-(log_p.exp() * log_p).sum()), abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (5, 3), (5, 4), (5, 5)])
def test_gradients_are_those_of_finite_differences(n, k):
    logits = logits_of(n).repeat(2, 1).requires_grad_()
    order = torch.stack([torch.arange(n), torch.arange(n).flip(0)])
    assert torch.autograd.gradcheck(lambda x: plackett_luce.log_likelihood(x, order, k), logits)
    assert torch.autograd.gradcheck(lambda x: plackett_luce.entropy(x, order, k), logits)
    assert torch.autograd.gradcheck(lambda x: plackett_luce.selected_entropy(x, order, k), logits)


def test_order_of_the_rest_changes_nothing():
    logits = logits_of(6)
    one, other = torch.tensor([4, 1, 0, 2, 3, 5]), torch.tensor([4, 1, 5, 3, 0, 2])
    for measure in (plackett_luce.log_likelihood, plackett_luce.entropy, plackett_luce.selected_entropy):
        assert float(measure(logits, one, 2)) == pytest.approx(float(measure(logits, other, 2)), abs=1e-12)


@pytest.mark.parametrize(("n", "k"), SIZES)
def test_selected_entropy_sums_over_what_was_drawn_alone(n, k, ordered_draws):
    logits = logits_of(n)
    p = [float(value) + 1e-6 for value in logits.exp() / logits.exp().sum()]
    for order in ordered_draws(n, k):
        direct = -sum(p[item] * log(p[item]) for item in order[:k].tolist())
        assert float(plackett_luce.selected_entropy(logits, order, k)) == pytest.approx(direct, abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (5, 4), (6, 3)])
def test_mean_of_the_selected_entropy_weighs_each_item_by_its_chance_to_be_drawn(n, k, ordered_draws):
    logits, orders = logits_of(n), ordered_draws(n, k)
    chance = plackett_luce.log_likelihood(logits.expand(len(orders), n), orders, k).exp()
    mean = float((chance * plackett_luce.selected_entropy(logits.expand(len(orders), n), orders, k)).sum())
    # Without any order: over the subsets that hold the item.
    p = logits.softmax(0) + 1e-6
    exact = 0.0
    for item in range(n):
        drawn = sum(subset_probability(logits.exp(), subset) for subset in combinations(range(n), k) if item in subset)
        exact -= drawn * float(p[item] * p[item].log())
    assert mean == pytest.approx(exact, abs=1e-10)
    # It is not the entropy of the draw.
    whole = float((chance * plackett_luce.entropy(logits.expand(len(orders), n), orders, k)).sum())
    assert whole > mean + 0.1


@pytest.mark.parametrize(("n", "k"), [(5, 4), (6, 3), (512, 359)])
def test_selected_entropy_is_not_the_largest_where_all_items_are_alike(n, k):
    """It is k/n ln n there, and ln k where k items are certain and drawn."""
    sure = torch.where(torch.arange(n) < k, 0.0, -60.0).double()
    order = torch.arange(n)
    assert float(plackett_luce.selected_entropy(sure, order, k)) == pytest.approx(log(k), abs=4e-3)
    alike = float(plackett_luce.selected_entropy(torch.zeros(n).double(), order, k))
    assert alike == pytest.approx(k / n * log(n), abs=4e-3)
    assert log(k) > alike


def test_sizes_of_both_entropies_of_a_layer_of_512_channels():
    order, logits = torch.arange(512), torch.zeros(512, dtype=torch.float64)
    assert float(plackett_luce.selected_entropy(logits, order, 359)) == pytest.approx(4.37, abs=0.01)
    # log n! / (n - k)!
    assert float(plackett_luce.entropy(logits, order, 359)) == pytest.approx(lgamma(513) - lgamma(154), rel=1e-9)
    assert lgamma(513) - lgamma(154) == pytest.approx(2066, abs=1)


@pytest.mark.parametrize("peak", [50.0, 1e4])
def test_peaked_logits_stay_exact_in_single_precision(peak):
    # Two items tower over four equal ones: the first step is one fair bit, the second certain, the third one of four.
    logits = torch.tensor([peak, peak, -peak, -peak, -peak, -peak], requires_grad=True)
    order = torch.tensor([1, 0, 2, 3, 4, 5])
    likelihood = plackett_luce.log_likelihood(logits, order, 3)
    entropy = plackett_luce.entropy(logits, order, 3)
    assert float(likelihood.detach()) == pytest.approx(float(torch.tensor([2.0, 4.0]).log().neg().sum()), rel=2e-3)
    assert float(entropy.detach()) == pytest.approx(float(torch.tensor([2.0, 4.0]).log().sum()), rel=2e-3)
    # -p log p of two fair items, then of one whose probability is 1e-6 and nothing more; its slope is finite.
    selected = plackett_luce.selected_entropy(logits, order, 3)
    assert float(selected.detach()) == pytest.approx(log(2.0) - 1e-6 * log(1e-6), rel=1e-4)
    for value in (likelihood, entropy, selected):
        (gradient,) = torch.autograd.grad(value, logits, retain_graph=True)
        assert bool(gradient.isfinite().all())
    (gradient,) = torch.autograd.grad(likelihood, logits)
    torch.testing.assert_close(gradient[:2], torch.tensor([-0.5, 0.5]), atol=1e-3, rtol=0)
    torch.testing.assert_close(gradient[2:], torch.tensor([0.75, -0.25, -0.25, -0.25]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (5, 1), (4, 4)])
def test_frequencies_of_draws_match_their_likelihood(n, k, ordered_draws, generator):
    orders = ordered_draws(n, k)
    logits = logits_of(n, scale=1.0)
    exact = plackett_luce.log_likelihood(logits.expand(len(orders), n), orders, k).exp()
    drawn = plackett_luce.draw(logits.expand(20_000, n), generator)
    assert torch.equal(drawn.sort(-1).values, torch.arange(n).expand_as(drawn))
    base = n ** torch.arange(k)
    codes = (drawn[:, :k] * base).sum(1)
    counts = [int((codes == code).sum()) for code in (orders[:, :k] * base).sum(1)]
    assert sum(counts) == 20_000
    assert chisquare(counts, (exact / exact.sum() * 20_000).numpy()).pvalue > 1e-3
