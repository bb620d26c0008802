"""What the tests of networks share: one small network of every kind of block, two of them with softplus."""

from collections.abc import Callable

import pytest
import torch
from helpers.science import build_network
from torch import nn

from ews.models.network import Network

ARCHITECTURES = {
    "basic, padding": {"network": "cifar_resnet", "depth": 8, "width": 6},
    "basic, projection": {"network": "resnet", "depth": 18, "width": 4},
    "bottleneck": {"network": "resnet", "depth": 50, "width": 3},
    "pre-activation": {"network": "preact_resnet", "depth": 18, "width": 4},
    "wide": {"network": "wide_resnet", "depth": 16, "widen": 1},
    "basic, softplus": {"network": "cifar_resnet", "depth": 8, "width": 6, "activation": "softplus"},
    "wide, softplus": {"network": "wide_resnet", "depth": 10, "widen": 1, "activation": "softplus", "softplus_beta": 3},
}


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Network:
    """A network in training mode, its normalisations' scales and shifts random so that none is without effect."""
    generator = torch.Generator().manual_seed(11)
    made = build_network(ARCHITECTURES[request.param], classes=5, mean=[0.4] * 3, std=[0.2] * 3, generator=generator)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0.0, 0.3, generator=generator)
    return made.train()


@pytest.fixture
def images() -> Callable[..., torch.Tensor]:
    def make(count: int = 4, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=dtype)

    return make
