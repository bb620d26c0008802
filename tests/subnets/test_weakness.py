"""On a fixed network that has learned something, the learned search finds subnets weaker than random ones."""

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_network
from helpers.sizes import size
from scipy.stats import wilcoxon
from sklearn.datasets import load_digits
from torch import Tensor

from ews.models.network import Network
from ews.subnets.search import build as build_search


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1)
    shuffled = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return F.interpolate(images[shuffled], size=16), torch.tensor(data.target)[shuffled]


@pytest.fixture(scope="module")
def trained(digits: tuple[Tensor, Tensor]) -> Network:
    """A thin ResNet-8 after six epochs on the first 1,400 digits."""
    images, labels = digits
    generator = torch.Generator().manual_seed(0)
    architecture = {"network": "cifar_resnet", "depth": 8, "width": 8}
    network = build_network(architecture, classes=10, mean=[0.3] * 3, std=[0.37] * 3, generator=generator).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for _ in range(6):
        for batch in torch.randperm(1400, generator=generator).split(100):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    return network


def test_learned_subnets_are_weaker_than_random_ones(digits, trained, settings):
    images, labels = digits

    @torch.no_grad()
    def accuracies(subnets, rows):
        return torch.stack([(trained(images[rows], s).argmax(1) == labels[rows]).float().mean() for s in subnets])

    # Faster than the paper's 3e-4, so that seconds are enough; rewards of training images, as in training.
    policy = settings | {"learning_rate": 3e-3, "hidden": 100, "baseline_decay": 0.9}
    search = size(0.7, **policy)
    learned, random = (build_search(name, trained, search) for name in ("learned", "random"))
    generator = torch.Generator().manual_seed(1)
    for _ in range(120):
        rows = torch.randint(1400, (128,), generator=generator)
        learned.update(lambda subnets, rows=rows: accuracies(subnets, rows), generator)
    # Measured on images that neither the network nor the search has seen; pairs share their images.
    found, drawn = [], []
    for _ in range(40):
        rows = 1400 + torch.randint(len(images) - 1400, (200,), generator=generator)
        found.append(float(accuracies([learned.sample(generator)], rows)))
        drawn.append(float(accuracies([random.sample(generator)], rows)))
    assert sum(drawn) / 40 > 0.8  # There is something to lose.
    assert wilcoxon(found, drawn, alternative="less").pvalue < 0.01
