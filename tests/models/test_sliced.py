"""The sliced computation of a subnet against the masked one: the whole network, with zeros for what is dropped."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers.sizes import size
from torch import Tensor

from ews.models.block import Block
from ews.models.network import Network
from ews.models.norm import running_statistics
from ews.models.space import choices
from ews.models.subnet import BlockChoice, Subnet
from ews.subnets.search import build as build_search

Normed = Callable[[torch.nn.BatchNorm2d, Tensor], Tensor]


def by_batch(norm: torch.nn.BatchNorm2d, x: Tensor) -> Tensor:
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    scaled = (x - mean) / (variance + norm.eps).sqrt()
    return scaled * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)


def by_running(norm: torch.nn.BatchNorm2d, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        value.view(1, -1, 1, 1) for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (variance + norm.eps).sqrt() * weight + bias


def active(part: Block | Network, x: Tensor) -> Tensor:
    """ReLU, or softplus as it is defined."""
    if part.activation.kind == "relu":
        return F.relu(x)
    beta = part.activation.beta
    return torch.logaddexp(torch.zeros_like(x), beta * x) / beta


def masked_block(block: Block, x: Tensor, choice: BlockChoice, normed: Normed) -> Tensor:
    first = active(block, normed(block.norms[0], x)) if block.preactivation else x
    y = first
    for i, conv in enumerate(block.convs):
        if i > 0:
            if block.preactivation:
                y = active(block, normed(block.norms[i], y))
            if choice.residual:
                mask = torch.zeros(y.shape[1], dtype=y.dtype)
                mask[choice.channels[i - 1]] = 1
                y = y * mask.view(1, -1, 1, 1)
        y = F.conv2d(y, conv.weight, stride=conv.stride, padding=conv.padding)
        if not block.preactivation:
            y = normed(block.norms[i], y)
            if i < len(block.convs) - 1:
                y = active(block, y)
    shortcut = x
    if block.projection is not None:
        shortcut = F.conv2d(first, block.projection.weight, stride=block.projection.stride)
        if block.projection_norm is not None:
            shortcut = normed(block.projection_norm, shortcut)
    elif shortcut.shape != y.shape:
        shortcut = torch.zeros_like(y)
        start = (y.shape[1] - x.shape[1]) // 2
        shortcut[:, start : start + x.shape[1]] = x[:, :, ::2, ::2]
    total = float(choice.residual) * y + float(choice.shortcut) * shortcut
    return total if block.preactivation else active(block, total)


def masked(network: Network, x: Tensor, subnet: Subnet, normed: Normed = by_batch) -> Tensor:
    x = F.conv2d((x - network.mean) / network.std, network.stem.weight, padding=1)
    if not network.preactivation:
        x = active(network, normed(network.norm, x))
    for block, choice in zip(network.blocks, subnet.blocks, strict=True):
        x = masked_block(block, x, choice, normed)
    if network.preactivation:
        x = active(network, normed(network.norm, x))
    return F.linear(x.mean((2, 3)), network.head.weight, network.head.bias)


def gradients(network: Network, out: Tensor, x: Tensor) -> list[Tensor | None]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return list(torch.autograd.grad((out.sin() * weights).sum(), [x, *network.parameters()], allow_unused=True))


def compare(network: Network, x: Tensor, subnet: Subnet) -> None:
    x.requires_grad_()
    sliced, reference = network(x, subnet), masked(network, x, subnet)
    torch.testing.assert_close(sliced, reference, rtol=1e-9, atol=1e-9)
    names = ["x", *(name for name, _ in network.named_parameters())]
    ours, theirs = gradients(network, sliced, x), gradients(network, reference, x)
    for name, one, other in zip(names, ours, theirs, strict=True):
        # A weight that the subnet lacks has no gradient here and a gradient of zeros there.
        one = torch.zeros_like(other) if one is None and other is not None else one
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("width", "rounding"), [(0.7, "ceil"), (0.1, "ceil"), (0.75, "expected")])
def test_sliced_equals_masked(network, images, width, rounding):
    network = network.double()
    search = build_search("random", network, size(width, rounding))
    generator = torch.Generator().manual_seed(4)
    compare(network, images(dtype=torch.float64), search.sample(generator))


@pytest.mark.parametrize("lone", [(True, False), (False, True)])
@pytest.mark.parametrize("at", [0, -1, 2])
def test_sliced_equals_masked_where_one_block_has_one_path(network, images, lone, at):
    network = network.double()
    kept = [tuple(torch.arange(0, total, 2) for total in block.channels) for block in network.space.blocks]
    paths = [(True, True)] * len(kept)
    paths[at] = lone
    compare(network, images(dtype=torch.float64), choices(paths, kept))


def test_full_width_through_the_slices_is_the_full_network_bit_for_bit(network, images):
    x = images(8)
    everything = network.space.everything(device="cpu")
    assert torch.equal(network(x, everything), network(x))
    last = network.to(memory_format=torch.channels_last)
    assert torch.equal(last(x, everything), last(x))


def test_subnet_passes_leave_the_statistics_alone_and_ignore_the_mode(network, images):
    network(images(8))  # Statistics that are not the initial ones.
    network.set_dropout(0.5, place="residual")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    search = build_search("random", network, size(0.5))
    subnet = search.sample(torch.Generator().manual_seed(0))
    training = network(images(8), subnet)
    training.square().sum().backward()
    evaluation = network.eval()(images(8), subnet)
    assert torch.equal(training, evaluation)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def move_statistics(network: Network) -> None:
    """Running statistics that are neither the first ones nor a batch's."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("width", "rounding"), [(0.7, "ceil"), (0.1, "ceil"), (0.75, "expected")])
def test_with_running_statistics_sliced_equals_the_masked_network_in_evaluation_mode(
    network, images, width, rounding, training
):
    network = network.double().train(training)
    move_statistics(network)
    network.set_dropout(0.5, place="residual")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    subnet = build_search("random", network, size(width, rounding)).sample(torch.Generator().manual_seed(4))
    x = images(dtype=torch.float64)
    with running_statistics(network):
        sliced = network(x, subnet)
    torch.testing.assert_close(sliced, masked(network, x, subnet, by_running), rtol=1e-9, atol=1e-9)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    # An image's answer depends on no other image; and the next pass is by its batch again.
    with running_statistics(network):
        torch.testing.assert_close(network(x[:1], subnet), sliced[:1])
    torch.testing.assert_close(network(x, subnet), masked(network, x, subnet), rtol=1e-9, atol=1e-9)


def test_full_width_with_running_statistics_is_evaluation_mode_bit_for_bit(network, images):
    x = images(8)
    move_statistics(network)
    everything = network.space.everything(device="cpu")
    with running_statistics(network):
        assert torch.equal(network(x, everything), network.eval()(x))
        assert torch.equal(network.train()(x), network(x))


def test_running_statistics_nest_and_end_with_an_error(network, images):
    x, everything = images(), network.space.everything(device="cpu")
    before = network(x, everything)
    with pytest.raises(KeyError), running_statistics(network):
        with running_statistics(network):
            inner = network(x, everything)
        assert torch.equal(network(x, everything), inner)
        raise KeyError
    assert torch.equal(network(x, everything), before) and not torch.equal(inner, before)
