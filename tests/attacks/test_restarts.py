"""PGD with restarts: the worst counts, image by image, whatever the batch."""

import numpy as np
import pytest
import torch
from helpers.science import build_network
from torch import Tensor

from ews.attacks.restarts import worst_of_restarts
from ews.core.seeds import torch_stream

SETTINGS = {"epsilon": 0.03, "step_size": 0.004, "steps": 4, "seed": 3}
COUNT = 24


def images() -> Tensor:
    return torch.rand(COUNT, 3, 8, 8, generator=torch_stream("images"), dtype=torch.float64)


@pytest.fixture
def network() -> torch.nn.Module:
    architecture = {"name": "thin", "network": "cifar_resnet", "depth": 8, "width": 4}
    built = build_network(architecture, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("network"))
    return built.double().eval().requires_grad_(False)


@pytest.fixture
def labels(network) -> Tensor:
    """What the network says, but for the first image."""
    found = network(images()).argmax(1)
    found[0] = (found[0] + 1) % 4
    return found


def test_more_restarts_are_never_weaker_and_keep_what_fewer_found(network, labels):
    indices = np.arange(COUNT)
    found = [
        worst_of_restarts(network, images(), labels, **SETTINGS, restarts=count, indices=indices) for count in (1, 4)
    ]
    assert not (found[1].robust & ~found[0].robust).any()
    fooled = ~found[0].robust
    assert 1 < fooled.sum() < COUNT
    assert torch.equal(found[0].images[fooled], found[1].images[fooled])
    losses = [
        torch.nn.functional.cross_entropy(network(one.images), labels, reduction="none")[found[1].robust]
        for one in found
    ]
    assert (losses[1] >= losses[0]).all() and (losses[1] > losses[0]).any()


def test_images_are_fooled_exactly_where_they_are_not_robust_and_stay_in_the_ball(network, labels):
    found = worst_of_restarts(network, images(), labels, **SETTINGS, restarts=2, indices=np.arange(COUNT))
    assert torch.equal(network(found.images).argmax(1) == labels, found.robust)
    assert (found.images - images()).abs().max() <= SETTINGS["epsilon"] + 1e-12
    assert torch.equal(found.images[0], images()[0]) and not found.robust[0]


def test_an_image_is_attacked_alike_in_any_batch_and_order(network, labels):
    whole = worst_of_restarts(network, images(), labels, **SETTINGS, restarts=3, indices=np.arange(COUNT))
    for part in (np.array([7]), np.array([20, 3, 11, 5]), np.arange(COUNT)[::-1].copy()):
        places = torch.from_numpy(part)
        found = worst_of_restarts(network, images()[places], labels[places], **SETTINGS, restarts=3, indices=part)
        torch.testing.assert_close(found.images, whole.images[places], atol=1e-9, rtol=0)
        assert torch.equal(found.robust, whole.robust[places])


def test_other_seeds_start_elsewhere(network, labels):
    one, two = (
        worst_of_restarts(network, images(), labels, **SETTINGS | {"seed": seed}, restarts=1, indices=np.arange(COUNT))
        for seed in (0, 1)
    )
    assert not torch.equal(one.images, two.images)


def test_logits_that_are_not_finite_are_wrong():
    def broken(x: Tensor) -> Tensor:
        return torch.full((len(x), 4), torch.nan)

    found = worst_of_restarts(
        broken, images(), torch.zeros(COUNT, dtype=torch.int64), **SETTINGS, restarts=1, indices=np.arange(COUNT)
    )
    assert not found.robust.any()


@pytest.mark.parametrize("restarts", [0, -1, 1.5, True])
def test_restarts_must_be_a_positive_number(network, labels, restarts):
    with pytest.raises(ValueError, match=r"restarts: .* at least 1"):
        worst_of_restarts(network, images(), labels, **SETTINGS, restarts=restarts, indices=np.arange(COUNT))
