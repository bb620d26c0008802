"""Search strategies: what all of them promise, and what each one finds."""

import io
from itertools import combinations

import pytest
import torch
from helpers.sizes import size
from scipy.stats import chisquare

from ews.core.errors import EwsError
from ews.models.space import PATHS
from ews.subnets.search import build
from ews.subnets.search.search_registry import SEARCHES

WIDTHS = [(0.7, "ceil"), (0.4, "ceil"), (0.6, "expected"), (1.0, "ceil")]


def search_of(name, network, settings, width=0.7, rounding="ceil", seed=0):
    return build(name, network, size(width, rounding, **settings), seed=seed)


def full_pass(network, seed=0):
    """Run one full pass with its backward; return the images."""
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    network(x).square().sum().backward()
    return x


def flat(subnet):
    return [(b.residual, b.shortcut, [c.tolist() for c in b.channels]) for b in subnet.blocks]


def reward_of(subnets):
    """A reward that depends on the subnets alone."""
    return torch.tensor([sum(float(c.sum()) for b in s.blocks for c in b.channels) % 7 / 7 for s in subnets])


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(("width", "rounding"), WIDTHS)
def test_samples_have_the_width_they_should(name, width, rounding, network, settings, generator):
    search = search_of(name, network, settings, width, rounding)
    kept = network.space.kept_channels(size(width))
    counts = set()
    for step in range(6):
        search.update(reward_of, generator)
        subnet = search.sample(generator)
        x = full_pass(network, step)
        search.observe()
        assert network(x, subnet).shape == (6, 4)
        for choice, layers, space in zip(subnet.blocks, kept, network.space.blocks, strict=True):
            counts.add(choice.residual + choice.shortcut)
            assert choice.residual or choice.shortcut
            assert len(choice.channels) == (len(layers) if choice.residual else 0)
            for index, count, total in zip(choice.channels, layers, space.channels, strict=False):
                assert index.dtype == torch.int64 and not index.requires_grad
                rows = index.tolist()
                assert rows == sorted(set(rows)) and len(rows) == count and 0 <= rows[0] and rows[-1] < total
    assert counts == ({1, 2} if rounding == "expected" else {1} if width < 0.5 else {PATHS})


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(("width", "rounding"), [(0.7, "ceil"), (0.6, "expected")])
def test_a_resumed_search_continues_identically(name, width, rounding, network, settings):
    def steps(search, first, last):
        seen = []
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            row = search.update(reward_of, generator)
            assert set(row) == (
                {"reward", "baseline", "entropy", "loss", "gradient_norm"} if SEARCHES[name].learns else set()
            )
            seen.append((flat(search.sample(generator)), {key: float(value) for key, value in row.items()}))
            network.zero_grad()
            full_pass(network, step)
            search.observe()
        return seen

    undisturbed = search_of(name, network, settings, width, rounding)
    steps(undisturbed, 0, 3)
    buffer = io.BytesIO()
    torch.save(undisturbed.state_dict(), buffer)
    expected = steps(undisturbed, 3, 6)
    resumed = search_of(name, network, settings, width, rounding, seed=99)
    resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    assert steps(resumed, 3, 6) == expected


@pytest.mark.parametrize("name", SEARCHES)
def test_global_random_state_is_left_alone(name, network, settings, generator):
    before = torch.get_rng_state()
    search = search_of(name, network, settings, 0.6, "expected")
    search.update(reward_of, generator)
    search.sample(generator)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_subsets_are_uniform(network, settings, generator):
    search = search_of("random", network, settings, width=0.5)  # Rounded up: 3 of the first block's 4 channels.
    subsets = list(combinations(range(4), 3))
    counts = [0] * len(subsets)
    for _ in range(3000):
        counts[subsets.index(tuple(search.sample(generator).blocks[0].channels[0].tolist()))] += 1
    assert chisquare(counts).pvalue > 1e-3


def test_l1_norm_keeps_the_smallest_filters_and_paths_without_weights(network, settings, generator):
    with torch.no_grad():
        for scale, row in zip((3.0, 0.1, 2.0, 0.2), network.blocks[0].convs[0].weight, strict=True):
            row.copy_(scale * torch.ones_like(row))
    search = search_of("l1_norm", network, settings, width=0.5)
    assert search.sample(generator).blocks[0].channels[0].tolist() == [1, 2, 3]
    assert [
        (choice.residual, choice.shortcut)
        for choice in search_of("l1_norm", network, settings, width=0.4).sample(generator).blocks
    ] == [(False, True)] * 3


def test_gradient_keeps_the_channels_that_matter_least(network, settings, generator):
    search = search_of("gradient", network, settings, width=0.5)
    # Channels 0, 2 and 3 are not read by what follows: their effect is nought.
    with torch.no_grad():
        network.blocks[0].convs[1].weight[:, [0, 2, 3]] = 0
    full_pass(network)
    search.observe()
    assert search.sample(generator).blocks[0].channels[0].tolist() == [0, 2, 3]


def test_strategies_without_state_refuse_a_foreign_one(network, settings):
    with pytest.raises(EwsError, match="search state"):
        search_of("random", network, settings).load_state_dict({"baseline": torch.zeros(())})


def test_unknown_strategy_and_width_are_refused(network, settings):
    with pytest.raises(EwsError, match="bandit, gradient, l1_norm, learned, random"):
        search_of("lerned", network, settings)
    with pytest.raises(EwsError, match="width"):
        search_of("random", network, settings, width=1.2)


@pytest.mark.parametrize("name", ["learned", "bandit"])
class TestLearning:
    def harm(self, subnets):
        """Accuracy 0.1 for subnets that keep channel 0 of the first block, else 0.9."""
        return torch.stack([torch.where((s.blocks[0].channels[0] == 0).any(), 0.1, 0.9) for s in subnets])

    def chance(self, search, generator):
        return sum(int((search.sample(generator).blocks[0].channels[0] == 0).any()) for _ in range(300)) / 300

    def test_probability_of_harmful_subnets_grows(self, name, network, settings, generator):
        search = search_of(name, network, settings | {"learning_rate": 0.03, "samples": 8}, width=0.5)
        before = self.chance(search, generator)
        assert 0.6 < before < 0.85  # 3 of 4 channels: three quarters, about.
        rows = [search.update(self.harm, generator) for _ in range(60)]
        assert self.chance(search, generator) > 0.95
        early, late = (sum(float(row["reward"]) for row in part) for part in (rows[:10], rows[-10:]))
        assert late < early

    def test_baseline_is_the_moving_average_of_raw_rewards(self, name, network, settings, generator):
        search = search_of(name, network, settings | {"baseline_decay": 0.8}, width=0.5)
        rewards = [0.5, 0.25, 1.0, 0.75]
        baseline = rewards[0]
        for value in rewards:
            row = search.update(lambda subnets, value=value: torch.full((len(subnets),), value), generator)
            assert float(row["baseline"]) == pytest.approx(baseline, abs=1e-6)
            assert float(row["reward"]) == pytest.approx(value)
            baseline = 0.8 * baseline + 0.2 * value

    @pytest.mark.parametrize("form", ["selected", "draw"])
    def test_the_bonus_is_on_the_entropy_of_the_form_in_use(self, form, name, network, settings, generator):
        search = search_of(name, network, settings | {"entropy": form, "baseline_decay": 0.0}, width=0.5)
        found = {}
        draw = search.draw

        def watched(samples, generator):
            draws = draw(samples, generator)
            # At once: the step moves the logits of a bandit in place.
            found["log_p"] = draws.log_likelihood().detach()
            found["subnets"] = draws.subnets
            for one in ("selected", "draw"):
                found[one] = float(draws.entropy(one).detach().mean())
            return draws

        search.draw = watched
        for _ in range(2):
            row = search.update(self.harm, generator)
            assert float(row["entropy"]) == pytest.approx(found[form], rel=1e-6)
            advantage = self.harm(found["subnets"]) - row["baseline"]
            expected = float((found["log_p"] * advantage).mean()) - 0.005 * found[form]
            assert float(row["loss"]) == pytest.approx(expected, rel=1e-5, abs=1e-7)
            assert found["draw"] > found["selected"] + 1

    def test_gradient_norm_is_clipped_but_logged_as_it_was(self, name, network, settings, generator):
        search = search_of(name, network, settings | {"gradient_clip": 1e-3, "baseline_decay": 0.0}, width=0.5)
        search.update(self.harm, generator)
        row = search.update(lambda subnets: torch.linspace(0, 1, len(subnets)), generator)
        norm = torch.stack([p.grad.norm() for p in search.policy.parameters() if p.grad is not None]).norm()
        assert float(row["gradient_norm"]) > 1e-2
        assert float(norm) == pytest.approx(1e-3, rel=1e-2)

    def test_full_width_leaves_nothing_to_learn(self, name, network, settings, generator):
        search = search_of(name, network, settings, width=1.0)
        before = {key: value.clone() for key, value in search.policy.state_dict().items()}
        row = search.update(self.harm, generator)
        assert float(row["entropy"]) == float(row["gradient_norm"]) == 0
        assert all(torch.equal(value, before[key]) for key, value in search.policy.state_dict().items())
