"""The distillation term: its value, its gradient, and that it is there at all."""

import pytest
import torch
from helpers.sizes import size
from torch.distributions import Categorical, kl_divergence

from ews.core.errors import EwsError
from ews.subnets.distil import distillation
from ews.subnets.distil import kl_divergence as kl
from ews.subnets.search import build as build_search


def logits(seed, scale=2.0):
    return scale * torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


LABELS = torch.tensor([0, 3, 1, 2, 2])


def test_kl_is_that_of_the_categorical_distributions():
    p, q = logits(0), logits(1)
    torch.testing.assert_close(kl(p, q), kl_divergence(Categorical(logits=p), Categorical(logits=q)))
    assert float(kl(p, p).abs().max()) < 1e-12
    assert float(kl(p, q).min()) > 0


def test_term_is_kl_of_the_full_network_against_the_subnet():
    full, subnet = logits(0), logits(1)
    per_example = kl_divergence(Categorical(logits=full), Categorical(logits=subnet))
    batchmean = distillation(subnet, full, LABELS, loss="kl", reduction="batchmean")
    mean = distillation(subnet, full, LABELS, loss="kl", reduction="mean")
    assert float(batchmean) == pytest.approx(float(per_example.mean()))
    assert float(mean) == pytest.approx(float(batchmean) / 4)
    assert abs(float(batchmean) - float(kl(subnet, full).mean())) > 1e-3  # Not the other way round.


def test_teacher_gets_no_gradient_and_the_subnet_softmax_minus_target():
    full, subnet = logits(0).requires_grad_(), logits(1).requires_grad_()
    distillation(subnet, full, LABELS, loss="kl", reduction="batchmean").backward()
    assert full.grad is None
    torch.testing.assert_close(subnet.grad, (subnet.detach().softmax(1) - full.detach().softmax(1)) / 5)


def test_cross_entropy_alternative():
    full, subnet = logits(0), logits(1)
    expected = -Categorical(logits=subnet).log_prob(LABELS).mean()
    torch.testing.assert_close(distillation(subnet, full, LABELS, loss="ce", reduction="batchmean"), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype):
    full = torch.tensor([[1e4, -1e4, 0.0]], dtype=dtype)
    subnet = (-full).requires_grad_()
    term = distillation(subnet, full, LABELS[:1], loss="kl", reduction="batchmean")
    term.backward()
    assert term.dtype == torch.float32
    assert float(term.detach()) == pytest.approx(2e4, rel=1e-2)
    assert bool(subnet.grad.isfinite().all())


@pytest.mark.parametrize(("loss", "reduction"), [("mse", "mean"), ("kl", "sum")])
def test_unknown_names_are_refused(loss, reduction):
    with pytest.raises(EwsError, match="Valid"):
        distillation(logits(0), logits(1), LABELS, loss=loss, reduction=reduction)


def test_term_and_gradient_are_there_below_full_width_and_vanish_at_it(network, generator):
    """The released code's subnets equal the full network on CIFAR, so that its term is zero."""
    x = torch.rand(5, 3, 8, 8, generator=generator)
    full = network(x).detach()
    for width, present in [(0.7, True), (0.25, True), (1.0, False)]:
        search = build_search("random", network, size(width))
        network.zero_grad()
        term = distillation(network(x, search.sample(generator)), full, LABELS, loss="kl", reduction="batchmean")
        term.backward()
        value = float(term.detach())
        norm = float(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm())
        if present:
            assert value > 1e-4 and norm > 1e-3
        else:
            assert value == pytest.approx(0, abs=1e-6) and norm < 1e-5
