"""What the tests of subnets share: small networks, policies' settings, enumeration of ordered draws."""

from itertools import permutations
from typing import Any

import pytest
import torch
from helpers.science import build_network

from ews.models.network import Network


@pytest.fixture
def settings() -> dict[str, Any]:
    return {
        "samples": 4,
        "learning_rate": 3e-4,
        "betas": (0.5, 0.999),
        "entropy": "selected",
        "entropy_bonus": 0.005,
        "baseline_decay": 0.99,
        "gradient_clip": 3.0,
        "hidden": 8,
    }


@pytest.fixture
def network() -> Network:
    architecture = {"name": "tiny", "network": "cifar_resnet", "depth": 8, "width": 4}
    weights = torch.Generator().manual_seed(3)
    return build_network(architecture, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=weights).train()


@pytest.fixture(scope="session")
def ordered_draws() -> Any:
    """All ordered draws of k of n, each followed by the rest: (n, k) -> int64 [n! / (n - k)!, n]."""

    def enumerate_draws(n: int, k: int) -> torch.Tensor:
        rows = [[*kept, *(i for i in range(n) if i not in kept)] for kept in permutations(range(n), k)]
        return torch.tensor(rows)

    return enumerate_draws
