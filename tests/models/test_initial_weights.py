"""The first weights of convolutions: torch's own, or He's; drawn layer by layer from the generator that is given."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.science import build_network
from torch import Tensor, nn

from ews.models.network import Network

KINDS: dict[str, dict[str, Any]] = {
    "cifar_resnet": {"network": "cifar_resnet", "depth": 8, "width": 16},
    "resnet": {"network": "resnet", "depth": 18, "width": 16},
    "bottlenecks": {"network": "resnet", "depth": 50, "width": 8},
    "preact_resnet": {"network": "preact_resnet", "depth": 18, "width": 16},
    "wide_resnet": {"network": "wide_resnet", "depth": 10, "widen": 2},
}


def build(key: str, seed: int = 4, **changed: Any) -> Network:
    generator = torch.Generator().manual_seed(seed)
    return build_network({**KINDS[key], **changed}, classes=7, mean=[0.5] * 3, std=[0.2] * 3, generator=generator)


def convolutions(network: Network) -> Iterator[nn.Conv2d]:
    """Yield stem, and block by block the branch's convolutions and the projection: the order of the draws."""
    yield network.stem
    for block in network.blocks:
        yield from block.convs
        if block.projection is not None:
            yield block.projection


def norm(network: Network) -> float:
    return math.sqrt(sum(float(conv.weight.detach().double().square().sum()) for conv in convolutions(network)))


@pytest.mark.parametrize("key", KINDS)
def test_torch_s_own_are_those_of_layers_that_torch_makes(key: str) -> None:
    """Bit for bit, head included: the same draws in the same order, seeded alike."""
    network = build(key, init="torch")
    torch.manual_seed(4)
    for conv in convolutions(network):
        size, stride = conv.kernel_size[0], conv.stride[0]
        assert torch.equal(conv.weight, nn.Conv2d(conv.in_channels, conv.out_channels, size, stride, bias=False).weight)
    head = nn.Linear(network.head.in_features, 7)
    assert torch.equal(network.head.weight, head.weight) and torch.equal(network.head.bias, head.bias)


@pytest.mark.parametrize("key", KINDS)
def test_he_s_are_normal_numbers_over_the_fan_out(key: str) -> None:
    """Bit for bit those of all networks before there was a choice."""
    network = build(key, init="he")
    generator = torch.Generator().manual_seed(4)
    for conv in convolutions(network):
        deviation = math.sqrt(2) / math.sqrt(conv.out_channels * conv.kernel_size[0] ** 2)
        assert torch.equal(conv.weight, torch.empty(conv.weight.shape).normal_(0, deviation, generator=generator))
    bound = network.head.in_features**-0.5
    drawn = [torch.empty(parameter.shape) for parameter in (network.head.weight, network.head.bias)]
    weight, bias = (values.uniform_(-bound, bound, generator=generator) for values in drawn)
    assert torch.equal(network.head.weight, weight)
    # The authors' wide networks begin without.
    assert torch.equal(network.head.bias, torch.zeros_like(bias) if key == "wide_resnet" else bias)


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize("init", ["torch", "he"])
def test_every_layer_has_the_variance_of_its_distribution(key: str, init: str) -> None:
    for conv in convolutions(build(key, init=init)):
        weight: Tensor = conv.weight.detach().double()
        area = conv.kernel_size[0] ** 2
        if init == "torch":
            bound = (conv.in_channels * area) ** -0.5
            variance, spread = bound**2 / 3, 0.8
            assert float(weight.abs().max()) <= bound * (1 + 1e-6)
        else:
            variance, spread = 2 / (conv.out_channels * area), 2.0
        # The mean square of n draws has the relative variance (kurtosis - 1) / n: 0.8 / n uniform, 2 / n normal.
        error = 5 * math.sqrt(spread / weight.numel())
        assert float(weight.square().mean()) == pytest.approx(variance, rel=error)
        assert abs(float(weight.mean())) < 5 * math.sqrt(variance / weight.numel())


@pytest.mark.parametrize(
    ("network", "depth", "expected"), [("preact_resnet", 18, (87.67, 40.0)), ("resnet", 50, (212.28, 94.09))]
)
def test_the_norms_of_the_paper_s_networks(network: str, depth: int, expected: tuple[float, float]) -> None:
    """E ||w||^2 of a layer is 2 x its inputs (He) or a third of its outputs (torch)."""
    found = []
    for init in ("he", "torch"):
        architecture = {"network": network, "depth": depth, "width": 64, "init": init}
        generator = torch.Generator().manual_seed(0)
        built = build_network(architecture, classes=10, mean=[0.5] * 3, std=[0.2] * 3, generator=generator)
        squares = [2 * conv.in_channels if init == "he" else conv.out_channels / 3 for conv in convolutions(built)]
        assert norm(built) == pytest.approx(math.sqrt(sum(squares)), rel=1e-3)
        found.append(norm(built))
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("key", KINDS)
def test_each_kind_begins_as_in_the_released_code(key: str) -> None:
    """Which has He's for wide networks; the thin ones are not in it."""
    default = "he" if key in ("cifar_resnet", "wide_resnet") else "torch"
    assert torch.equal(build(key).stem.weight, build(key, init=default).stem.weight)
    other = "torch" if default == "he" else "he"
    assert not torch.equal(build(key).stem.weight, build(key, init=other).stem.weight)
