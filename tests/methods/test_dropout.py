"""Dropout drops what its place says at its rate, in training alone, and never in subnets."""

from typing import Any

import pytest
import torch
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.core.seeds import torch_stream
from ews.methods.component import Context
from ews.models.network import Network

RATE = 0.3
PLACES = ["residual", "hidden", "block"]


def build(place: str) -> Network:
    network = build_network(
        {"network": "cifar_resnet", "depth": 8, "width": 8},
        classes=4,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        generator=torch_stream("test", "init"),
    )
    cpu = torch.device("cpu")
    context = Context(
        network=network, augmentation_loss=lambda *_: torch.zeros(()), seed=0, label_smoothing=0.0, device=cpu
    )
    build_method(context, {"name": "dropout", "rate": RATE, "place": place})
    return network


def dropped(activations: Tensor) -> tuple[Tensor, Tensor]:
    """Return which channels [B, C] are wholly zero, and the share of zeros in the others."""
    zero = activations.flatten(2) == 0
    whole = zero.all(2)
    return whole, zero[~whole].float().mean()


@pytest.mark.parametrize("place", ["hidden", "block"])
def test_whole_channels_are_dropped_at_the_rate(place: str) -> None:
    network = build(place).train()
    seen: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], output: Any = None) -> None:
        # The second convolution sees the hidden channels; the block's output is what the next block sees.
        seen.append(arguments[0].detach().clone())

    block = network.blocks[0]
    watched: nn.Module = block.convs[1] if place == "hidden" else network.blocks[1]
    watched.register_forward_pre_hook(keep)
    torch.manual_seed(0)
    network(torch.rand(300, 3, 8, 8))
    whole, _ = dropped(seen[0])
    # 2,400 draws: five standard deviations are 0.047.
    assert abs(float(whole.float().mean()) - RATE) < 0.047
    # Which channels are dropped differs between images.
    assert len(torch.unique(whole, dim=0)) > 100

    network.eval()
    network(torch.rand(300, 3, 8, 8))
    whole, _ = dropped(seen[1])
    assert float(whole.float().mean()) < 0.05


@pytest.mark.parametrize("place", PLACES)
def test_off_in_evaluation_and_in_subnets(place: str) -> None:
    network = build(place)
    images = torch.rand(16, 3, 8, 8)
    everything = network.space.everything(device="cpu")

    def twice(subnet: Any = None) -> tuple[Tensor, Tensor]:
        return network(images, subnet), network(images, subnet)

    network.train()
    assert not torch.equal(*twice())
    assert torch.equal(*twice(everything))
    network.eval()
    assert torch.equal(*twice())


@pytest.mark.parametrize("place", PLACES)
def test_draws_follow_the_global_seed(place: str) -> None:
    network = build(place).train()
    images = torch.rand(16, 3, 8, 8)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(network(images))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])
