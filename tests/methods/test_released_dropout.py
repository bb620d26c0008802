"""Dropout as released, against a forward pass written here: elements of each branch's output, before the sum."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.core.seeds import torch_stream
from ews.methods.component import Context
from ews.methods.dropout.dropout_spec import DropoutParameters
from ews.models.awnet.awnet import routing
from ews.models.network import Network

RATE = 0.3
KINDS: dict[str, dict[str, Any]] = {
    "basic, padding": {"network": "cifar_resnet", "depth": 8, "width": 4},
    "basic, projection": {"network": "resnet", "depth": 18, "width": 3},
    "bottleneck": {"network": "resnet", "depth": 50, "width": 2},
    "pre-activation": {"network": "preact_resnet", "depth": 18, "width": 3},
    "wide": {"network": "wide_resnet", "depth": 10, "widen": 1},
    "softplus": {"network": "cifar_resnet", "depth": 8, "width": 4, "activation": "softplus"},
}
X = torch.rand(6, 3, 16, 16, generator=torch_stream("test", "images"), dtype=torch.float64)


def build(kind: str, *, rate: float = RATE, **changed: Any) -> Network:
    network = build_network(
        {**KINDS[kind], **changed},
        classes=4,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        generator=torch_stream("test", "init"),
    ).double()
    cpu = torch.device("cpu")
    context = Context(
        network=network, augmentation_loss=lambda *_: torch.zeros(()), seed=0, label_smoothing=0.0, device=cpu
    )
    build_method(context, {"name": "dropout", "rate": rate, "place": "residual"})
    return network.train()


def normed(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


def reference(network: Network, x: Tensor, drop: nn.Module) -> Tensor:
    """The pass of the whole network in training mode; ``drop`` is called once a block, as the authors' blocks do."""
    active = F.softplus if network.activation.kind == "softplus" else F.relu
    x = F.conv2d((x - network.mean) / network.std, network.stem.weight, padding=1)
    x = x if network.preactivation else active(normed(network.norm, x))
    for block in network.blocks:
        first = active(normed(block.norms[0], x)) if block.preactivation else x
        y = first
        for i, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True)):
            if block.preactivation and i > 0:
                y = active(normed(norm, y))
            y = F.conv2d(y, conv.weight, stride=conv.stride, padding=conv.padding)
            if not block.preactivation:
                y = normed(norm, y)
                y = active(y) if i < len(block.convs) - 1 else y
        y = drop(y)
        if block.projection is not None:
            other = F.conv2d(first, block.projection.weight, stride=block.projection.stride)
            other = other if block.projection_norm is None else normed(block.projection_norm, other)
        elif block.outputs > block.inputs:
            extra = (block.outputs - block.inputs) // 2
            other = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        else:
            other = x
        x = y + other if block.preactivation else active(y + other)
    x = active(normed(network.norm, x)) if network.preactivation else x
    return F.linear(x.mean((2, 3)), network.head.weight, network.head.bias)


def gradients(network: Network, out: Tensor) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return torch.autograd.grad((out.sin() * weights).sum(), list(network.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_elements_of_each_branch_are_dropped_before_the_sum(kind: str) -> None:
    network = build(kind)
    torch.manual_seed(8)
    found = network(X)
    torch.manual_seed(8)
    expected = reference(network, X, nn.Dropout(RATE))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    for one, other in zip(gradients(network, found), gradients(network, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
    assert not torch.allclose(found, reference(network, X, nn.Identity()))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_rate_it_is_vanilla_to_the_bit_and_draws_nothing(kind: str) -> None:
    network, vanilla = build(kind, rate=0.0).float(), build(kind, rate=0.0).float()
    vanilla.set_dropout(0.0, place="hidden")
    torch.manual_seed(8)
    before = torch.get_rng_state()
    assert torch.equal(network(X.float()), vanilla(X.float()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_subnets_are_without(kind: str) -> None:
    network, vanilla = build(kind), build(kind, rate=0.0)
    everything = network.space.everything(device="cpu")
    torch.manual_seed(8)
    before = torch.get_rng_state()
    assert torch.equal(network(X, everything), vanilla(X, everything))
    assert torch.equal(network.eval()(X), vanilla.eval()(X))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_effect_of_a_path_is_that_of_what_is_added() -> None:
    """sum(a dL/da) of a branch is dL/ds where s scales what dropout left of it."""
    network = build("basic, padding")
    network.capture_effects(True, paths=True)
    torch.manual_seed(2)
    network(X).sin().sum().backward()
    taken = network.take_effects()
    assert taken is not None
    scales = torch.ones(len(network.blocks), dtype=torch.float64, requires_grad=True)
    drop, places = nn.Dropout(RATE), iter(range(len(network.blocks)))

    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return scales[next(places)] * drop(x)

    torch.manual_seed(2)
    (expected,) = torch.autograd.grad(reference(network, X, Scaled()).sin().sum(), scales)
    found = torch.stack([effects.paths[0] for effects in taken if effects.paths[0] is not None])
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["basic, projection", "wide"])
def test_awnet_drops_the_same(kind: str) -> None:
    """While omega = 1 and all images are of a type, it is its backbone: masks included."""
    network, backbone = build(kind, dynamic={"name": "awnet", "extractor": [4]}), build(kind)
    torch.manual_seed(3)
    with routing(network, clean=len(X)):
        found = network(X)
    torch.manual_seed(3)
    assert torch.equal(found, backbone(X))


def test_the_released_place_is_the_default() -> None:
    assert DropoutParameters().place == "residual"
