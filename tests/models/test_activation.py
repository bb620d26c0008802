"""ReLU as torch computes it, to the bit; softplus and its gradient as it is defined."""

import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_network
from torch import nn

from ews.models.activation import Activation

X = torch.cat([torch.linspace(-12, 12, 97, dtype=torch.float64), torch.tensor([-800.0, 0.0, 800.0]).double()])


@pytest.mark.parametrize("beta", [0.5, 1.0, 10.0])
def test_softplus_and_its_gradient(beta: float) -> None:
    """log(1 + exp(beta x)) / beta, whose derivative is the logistic function of beta x."""
    x = X.clone().requires_grad_()
    found = Activation("softplus", beta)(x, inplace=True)
    assert torch.equal(x.detach(), X)
    torch.testing.assert_close(found, torch.logaddexp(torch.zeros_like(X), beta * X) / beta, rtol=1e-9, atol=1e-9)
    (slope,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(slope, 1 / (1 + torch.exp(-beta * X)), rtol=1e-8, atol=1e-8)


def test_softplus_nears_relu_as_beta_grows() -> None:
    """Never nearer than log 2 / beta at 0, nowhere farther."""
    for beta in (1.0, 8.0, 64.0):
        gap = Activation("softplus", beta)(X) - F.relu(X)
        assert float(gap.min()) >= 0 and float(gap.max()) == pytest.approx(torch.log(torch.tensor(2.0)).item() / beta)


def test_softplus_keeps_the_form_of_what_comes_under_autocast() -> None:
    x = torch.linspace(-2, 2, 9).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Activation("softplus", 1.0)(x).dtype == torch.bfloat16


@pytest.mark.parametrize("inplace", [False, True])
def test_relu_is_torch_s_in_place_where_that_is_allowed(inplace: bool) -> None:
    x = X.float().clone()
    found = Activation("relu", 1.0)(x, inplace=inplace)
    assert torch.equal(found, F.relu(X.float()))
    assert (found.data_ptr() == x.data_ptr()) is inplace


@pytest.mark.parametrize("network", ["cifar_resnet", "preact_resnet"])
def test_a_network_with_softplus_has_no_relu_left(network: str, images) -> None:
    """With negative shifts everywhere a ReLU would end in zeros, and in no gradient for the stem."""
    size = {"depth": 8, "width": 4} if network == "cifar_resnet" else {"width": 4}
    built = build_network(
        {"network": network, **size, "activation": "softplus"}, classes=3, mean=[0.5] * 3, std=[0.2] * 3
    )
    plain = copy.deepcopy(built)
    for part in (plain, *plain.blocks):
        part.activation = Activation("relu", 1.0)
    for one in (built, plain):
        for module in one.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.bias, -20.0)
        one.double().train()(images(4, dtype=torch.float64)).sum().backward()
    assert float(plain.stem.weight.grad.abs().max()) == 0
    assert float(built.stem.weight.grad.abs().min()) > 0
