"""AutoAugment is torchvision's policy under a seed of each image's own."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from ews.augment.autoaugment.autoaugment import POLICIES, OnePolicy


def test_a_seed_gives_what_torchvision_gives_under_it(images):
    policy = AutoAugment(AutoAugmentPolicy.CIFAR10)
    ours = OnePolicy(policy)
    changed = 0
    for seed, image in enumerate(images):
        torch.manual_seed(seed)
        expected = np.asarray(policy(Image.fromarray(image)))
        assert np.array_equal(ours(image, 2 * seed)[0], expected)
        changed += not np.array_equal(expected, image)
    assert changed > len(images) / 2


def test_the_same_image_gets_different_views_in_an_epoch(make, images):
    same = np.repeat(images[:1], 30, axis=0)
    (batch,) = make("autoaugment", images=same, padding=0, flip=False).loader(np.arange(30), epoch=0, batch_size=30)
    assert len(torch.unique(batch[0].flatten(1), dim=0)) > 10


def test_policies_are_the_ones_of_the_data(make):
    assert {name: policy.value for name, policy in POLICIES.items()} == {"cifar10": "cifar10", "svhn": "svhn"}
    order = np.arange(40)
    (cifar,), (svhn,) = (
        make("autoaugment", policy=policy).loader(order, epoch=0, batch_size=40) for policy in POLICIES
    )
    assert not torch.equal(cifar, svhn)


def test_an_unknown_policy_is_refused(make):
    with pytest.raises(ValueError, match=r"policy\n.*'cifar10' or 'svhn'"):
        make("autoaugment", policy="cifar")


@pytest.mark.parametrize("name", ["standard", "autoaugment"])
def test_the_loss_is_the_cross_entropy_of_the_view(make, name):
    logits, labels = torch.randn(1, 6, 4), torch.arange(6) % 4
    loss = make(name).loss(logits, labels, torch.nn.functional.cross_entropy)
    assert torch.equal(loss, torch.nn.functional.cross_entropy(logits[0], labels))
