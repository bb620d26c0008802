"""Policies over a small space, by enumeration of everything that they can draw."""

from itertools import chain, product
from types import SimpleNamespace

import pytest
import torch
from helpers.sizes import size
from torch import Tensor

from ews.core.errors import EwsError
from ews.models.space import BlockSpace, SubnetSpace
from ews.subnets.controller import Controller
from ews.subnets.policy import ENTROPIES, Decision, Policy, sampler
from ews.subnets.search.bandit import Bandit, IndependentLogits
from ews.subnets.search.policy_gradient import policy_loss

SPACE = SubnetSpace((BlockSpace((3,)), BlockSpace((2, 3)), BlockSpace((2,))))
KEPT = ((2,), (1, 1), (2,))  # The last block keeps everything: nothing to decide there.


def policy_of(kind: str) -> Policy:
    generator = torch.Generator().manual_seed(5)
    if kind == "controller":
        policy: Policy = Controller(SPACE, KEPT, hidden=5, generator=generator)
    else:
        policy = IndependentLogits(SPACE, KEPT)
        for parameter in policy.parameters():
            torch.nn.init.normal_(parameter, generator=generator)
    return policy.double()


def stories(counts: list[int], ordered_draws) -> list[list[list[int]]]:
    """Every sequence of decisions that a policy can take under these path counts: orders, decision by decision.

    A decision that does not arise in a sequence stands there once, with an arbitrary order.
    """
    per_block = []
    for block, kept, count in zip(SPACE.blocks, KEPT, counts, strict=True):
        ends = []
        for path in ordered_draws(2, 1).tolist() if count == 1 else [None]:
            layers = []
            for total, keep in zip(block.channels, kept, strict=True):
                if keep < total:
                    orders = ordered_draws(total, keep).tolist()
                    layers.append(orders if path is None or path[0] == 0 else orders[:1])
            ends += [[*([path] if path else []), *orders] for orders in product(*layers)]
        per_block.append(ends)
    return [list(chain.from_iterable(parts)) for parts in product(*per_block)]


def follow(policy: Policy, counts: list[int], told: list[list[list[int]]]):
    """Draw with every decision told: one subnet for each story."""
    position = iter(range(len(told[0])))

    def choose(logits: Tensor, count: int) -> Tensor:
        step = next(position)
        return torch.tensor([story[step] for story in told])

    draws = policy.draw([counts] * len(told), choose)
    assert next(position, None) is None
    return draws


def key(subnet) -> tuple:
    return tuple((b.residual, b.shortcut, tuple(tuple(c.tolist()) for c in b.channels)) for b in subnet.blocks)


class One:
    """One of the subnets of a batch of draws."""

    def __init__(self, draws, number: int) -> None:
        self.draws = draws
        self.part = slice(number, number + 1)
        self.subnets = draws.subnets[self.part]

    def log_likelihood(self) -> Tensor:
        return self.draws.log_likelihood()[self.part]

    def entropy(self, form: str) -> Tensor:
        return self.draws.entropy(form)[self.part]


def assert_slope(policy, parameter, gradient, draws) -> None:
    """Central differences of the sum of the selected entropies, along the gradient of one parameter."""
    step = 1e-5 * gradient / gradient.norm()
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * step)
            ends.append(float(draws().entropy("selected").sum()))
            parameter.sub_(sign * step)
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(gradient.norm()), rel=1e-6)


@pytest.mark.parametrize("kind", ["controller", "bandit"])
@pytest.mark.parametrize("counts", [[2, 2, 2], [1, 2, 2], [2, 1, 1]])
class TestByEnumeration:
    def test_likelihood_sums_to_one(self, kind, counts, ordered_draws):
        told = stories(counts, ordered_draws)
        draws = follow(policy_of(kind), counts, told)
        assert float(draws.log_likelihood().detach().exp().sum()) == pytest.approx(1.0, abs=1e-12)
        assert len({key(subnet) for subnet in draws.subnets}) < len(told)  # Several orders make one subnet.

    def test_mean_of_the_entropy_is_the_entropy_of_the_policy(self, kind, counts, ordered_draws):
        draws = follow(policy_of(kind), counts, stories(counts, ordered_draws))
        log_p = draws.log_likelihood().detach()
        assert float((log_p.exp() * draws.entropy("draw").detach()).sum()) == pytest.approx(
            float(-(log_p.exp() * log_p).sum()), abs=1e-12
        )

    def test_selected_entropy_is_that_of_the_decisions_that_arose(self, kind, counts, ordered_draws):
        policy, told = policy_of(kind), stories(counts, ordered_draws)
        draws = follow(policy, counts, told)
        found = draws.entropy("selected")
        dropped = 0
        for i, story in enumerate(told):
            # Where a path is dropped its decision comes first; without the residual branch no channel is decided.
            expected, place = torch.zeros((), dtype=torch.float64), 0
            for block, kept, count in zip(SPACE.blocks, KEPT, counts, strict=True):
                there = [(2, 1, True)] if count == 1 else []
                branch = count == 2 or story[place][0] == 0
                dropped += not branch
                there += [(n, k, branch) for n, k in zip(block.channels, kept, strict=True) if k < n]
                for _, k, arose in there:
                    p = draws.taken[place].logits[i].softmax(0) + 1e-6
                    for item in story[place][:k]:
                        expected = expected - arose * p[item] * p[item].log()
                    place += 1
            assert place == len(story)
            torch.testing.assert_close(found[i], expected, atol=1e-12, rtol=0)
        assert (dropped > 0) == (min(counts) == 1)
        parameters = list(policy.parameters())
        direct = torch.autograd.grad(found.sum(), parameters, retain_graph=True, allow_unused=True)
        largest = max(range(len(parameters)), key=lambda j: 0 if direct[j] is None else float(direct[j].norm()))
        assert_slope(policy, parameters[largest], direct[largest], lambda: follow(policy, counts, told))

    def test_expected_policy_gradient_is_the_gradient_of_the_expected_reward(self, kind, counts, ordered_draws):
        policy = policy_of(kind)
        draws = follow(policy, counts, stories(counts, ordered_draws))
        log_p = draws.log_likelihood()
        # A reward that depends on the subnet alone, not on the order of drawing.
        table: dict[tuple, float] = {}
        noise = torch.Generator().manual_seed(1)
        rewards = torch.tensor(
            [
                table.setdefault(key(subnet), float(torch.rand((), generator=noise, dtype=torch.float64)))
                for subnet in draws.subnets
            ],
            dtype=torch.float64,
        )
        parameters = list(policy.parameters())
        exact = torch.autograd.grad((log_p.exp() * rewards).sum(), parameters, retain_graph=True, allow_unused=True)
        # The expectation over draws of the loss's gradient, with a baseline that must not matter.
        weights = len(rewards) * log_p.detach().exp()
        expected = torch.autograd.grad(policy_loss(log_p, weights * (rewards - 0.37)), parameters, allow_unused=True)
        assert max(float(gradient.abs().max()) for gradient in exact if gradient is not None) > 1e-4
        for one, other in zip(exact, expected, strict=True):
            if one is None:
                assert other is None
                continue
            torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-9)

    def test_expected_gradient_of_an_update_is_that_of_the_expected_reward(self, kind, counts, ordered_draws, settings):
        """The whole of ``update``, one subnet at a time, weighted with its probability."""
        policy = policy_of(kind)
        quiet = settings | {"entropy_bonus": 0.0, "gradient_clip": 1e9, "samples": 1}
        search = Bandit(SimpleNamespace(space=SPACE), size(0.7, **quiet), device="cpu", seed=0)
        search.policy = policy
        parameters = list(policy.parameters())
        search.optimizer = torch.optim.SGD(parameters, lr=0.0)
        noise = torch.Generator().manual_seed(1)
        table: dict[tuple, float] = {}

        def reward(subnets):
            values = [table.setdefault(key(subnet), float(torch.rand((), generator=noise))) for subnet in subnets]
            return torch.tensor(values, dtype=torch.float64)

        told = stories(counts, ordered_draws)
        draws = follow(policy, counts, told)
        probability = draws.log_likelihood().exp()
        exact = torch.autograd.grad((probability * reward(draws.subnets)).sum(), parameters, allow_unused=True)
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for subnet, share in enumerate(probability.detach()):
            search.draw = lambda samples, generator, subnet=subnet: One(follow(policy, counts, told), subnet)
            search.updates, search.baseline = 1, torch.tensor(0.37, dtype=torch.float64)
            search.update(reward, None)
            for sum_, parameter in zip(total, parameters, strict=True):
                if parameter.grad is not None:
                    sum_ += share * parameter.grad
        for one, other in zip(exact, total, strict=True):
            torch.testing.assert_close(other, torch.zeros_like(other) if one is None else one, atol=1e-12, rtol=1e-9)

    def test_batch_of_subnets_equals_one_at_a_time(self, kind, counts, ordered_draws):
        policy = policy_of(kind)
        told = stories(counts, ordered_draws)[::7]
        together = follow(policy, counts, told)
        for i, story in enumerate(told):
            alone = follow(policy, counts, [story])
            torch.testing.assert_close(alone.log_likelihood()[0], together.log_likelihood()[i])
            for form in ENTROPIES:
                torch.testing.assert_close(alone.entropy(form)[0], together.entropy(form)[i])
            assert key(alone.subnets[0]) == key(together.subnets[i])


def test_subnets_with_different_path_counts_share_a_batch(generator):
    policy = policy_of("controller")
    counts = [[2, 2, 2], [1, 2, 1], [2, 1, 2], [1, 1, 1]]
    draws = policy.draw(counts, sampler(generator))
    for subnet, row in zip(draws.subnets, counts, strict=True):
        assert [choice.residual + choice.shortcut for choice in subnet.blocks] == row
    # The subnet that decides no path has the same likelihood as if it had been drawn alone.
    taken = iter(draws.taken)

    def replay(logits: Tensor, count: int) -> Tensor:
        step = next(
            item
            for item in taken
            if item.logits.shape[1] == logits.shape[1]
            and item.count == count
            and (item.asked is None or bool(item.asked[0]))
        )
        return step.order[:1]

    alone = policy.draw([counts[0]], replay)
    torch.testing.assert_close(alone.log_likelihood()[0], draws.log_likelihood()[0])


def test_dropped_branch_has_no_channels_and_no_likelihood(ordered_draws):
    policy = policy_of("controller")
    told = stories([1, 2, 2], ordered_draws)
    dropped = torch.tensor([story[0] == [1, 0] for story in told])
    draws = follow(policy, [1, 2, 2], told)
    for subnet, without in zip(draws.subnets, dropped.tolist(), strict=True):
        first = subnet.blocks[0]
        assert (first.residual, first.shortcut, len(first.channels)) == (not without, without, int(not without))
    # What is told of channels that are not there changes nothing; of those that are there, it does.
    other = follow(policy, [1, 2, 2], [[story[0], [2, 1, 0], *story[2:]] for story in told]).log_likelihood()
    same = (other - draws.log_likelihood()).abs() < 1e-12
    assert bool(same[dropped].all()) and not bool(same[~dropped].all())


def test_an_unknown_entropy_is_refused(generator):
    draws = policy_of("bandit").draw([[2, 2, 2]], sampler(generator))
    with pytest.raises(EwsError, match="draw, selected"):
        draws.entropy("whole")


def test_controller_hears_what_was_kept(ordered_draws):
    """The logits of later blocks depend on earlier choices: else it would be a bandit."""
    told = stories([2, 2, 2], ordered_draws)
    first, last = follow(policy_of("controller"), [2, 2, 2], [told[0], told[-1]]).taken[1].logits.detach()
    assert float((first - last).abs().max()) > 1e-3


def test_next_input_is_the_mean_of_embeddings_of_which_each_path_and_channel_has_its_own():
    policy = policy_of("controller")
    state = policy.begin(1)
    for b, block in enumerate(SPACE.blocks):
        decisions = [Decision(b, -1, 2), *(Decision(b, layer, total) for layer, total in enumerate(block.channels))]
        single = {
            (decision.layer, i): policy.feed(state, decision, torch.tensor([[i]]))[-1].detach()
            for decision in decisions
            for i in range(decision.total)
        }
        assert len({tuple(row.flatten().tolist()) for row in single.values()}) == 2 + sum(block.channels)
        for decision in decisions:
            both = policy.feed(state, decision, torch.tensor([[0, 1]]))[-1].detach()
            torch.testing.assert_close(both, (single[decision.layer, 0] + single[decision.layer, 1]) / 2)


READERS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lists the ways in which the host reads a tensor's value while the test runs."""
    found: list[str] = []

    def watched(name: str):
        plain = getattr(Tensor, name)

        def read(self, *args, **kwargs):
            found.append(name)
            return plain(self, *args, **kwargs)

        return read

    for name in READERS:
        monkeypatch.setattr(Tensor, name, watched(name))
    return found


def test_drawing_reads_nothing_to_the_host_while_all_paths_are_kept(generator, reads):
    draws = policy_of("controller").draw([[2, 2, 2]] * 3, sampler(generator))
    (draws.log_likelihood() - draws.entropy("selected") - draws.entropy("draw")).mean().backward()
    assert reads == []


def test_where_a_path_is_dropped_the_host_reads_which(generator, reads):
    policy_of("controller").draw([[1, 2, 2]] * 3, sampler(generator))
    assert reads == ["tolist"]


@pytest.mark.parametrize("read", [Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.cpu, bool, int, float])
def test_every_read_is_seen(read, reads):
    getattr(torch.ones(()), read.__name__)() if read not in (bool, int, float) else read(torch.ones(()))
    assert reads
