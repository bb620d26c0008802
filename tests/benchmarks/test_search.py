"""The benchmark of the search strategies: it leaves the network alone, and its page says what was measured."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.science import build_network
from helpers.sizes import size

from ews.models.network import Network

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import search  # noqa: E402


@pytest.fixture
def dataset() -> Any:
    """Noise of two brightnesses, which are the classes."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = (generator.integers(0, 100, (24, 16, 16, 3)) + 120 * labels[:, None, None, None]).astype(np.uint8)
    return SimpleNamespace(
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        training_indices=lambda _: np.arange(24),
    )


@pytest.fixture
def network() -> Network:
    architecture = {"network": "cifar_resnet", "depth": 8, "width": 4}
    weights = torch.Generator().manual_seed(0)
    return build_network(architecture, classes=2, mean=[0.5] * 3, std=[0.25] * 3, generator=weights).train()


@pytest.mark.parametrize("row", search.ROWS)
def test_every_row_runs_and_leaves_the_network_alone(
    row: str, network: Network, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, changes, updates = search.ROWS[row]
    monkeypatch.setitem(search.ROWS, row, (name, changes, min(updates, 2)))
    # The full passes of `gradient` update running statistics, as in training; no subnet reads them.
    before = {key: value.clone() for key, value in network.named_parameters()}
    found, reward = search.weakness(row, network, dataset, width=0.7, subnets=4, batch=12)
    assert (reward is None) == (updates == 0)
    assert len(found) == 4 and all(0 <= value <= 100 for value in found)
    if name == "l1_norm":
        assert len(set(found)) == 1
    for key, value in network.named_parameters():
        assert torch.equal(value, before[key]) and value.grad is None


def test_accuracy_is_the_share_of_right_answers(network: Network, dataset: Any) -> None:
    images, labels = search.floats(dataset.test_images), torch.from_numpy(dataset.test_labels)
    settings = size(1.0)
    subnet = search.build("l1_norm", network, settings).sample(torch.Generator())
    with torch.no_grad():
        halves = [network(images[part], subnet).argmax(1) == labels[part] for part in (slice(12), slice(12, 24))]
    right = sum(int(half.sum()) for half in halves)
    assert float(search.accuracy(network, images, labels, subnet, 12)) == pytest.approx(right / 24)


def test_the_page_sorts_and_compares() -> None:
    difference = {"mean": -20.0, "low": -25.0, "high": -15.0}
    rows = [
        {"strategy": "learned", "mean": 40.0, "low": 30.0, "high": 50.0, "against_random": difference, "reward": 41.5},
        {"strategy": "random", "mean": 60.0, "low": 55.0, "high": 65.0, "against_random": None, "reward": None},
    ]
    machine = {"processor": "p", "cores": 2, "threads": 1, "load": 0.0, "versions": {"torch": "2"}}
    settings = {
        "width": 0.7,
        "runs": ["a", "b"],
        "network": "resnet8_thin",
        "dataset": "digits",
        "subnets": 40,
        "test_images": 500,
    }
    text = search.markdown({"machine": machine, "settings": settings, "rows": rows})
    assert "| learned | 40.00 [30.00, 50.00] | -20.00 [-25.00, -15.00] | 41.50 |" in text
    assert "| random | 60.00 [55.00, 65.00] |  |  |" in text
