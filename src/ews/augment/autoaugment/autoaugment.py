"""AutoAugment: crop and flip, then a random one of the 25 learned sub-policies, image by image in workers."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import AutoAugment as TorchvisionPolicy
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

from ews.augment.augmentation import CrossEntropy, Source
from ews.augment.augmentation_specs import Crop
from ews.augment.augmentation_workers import ImageByImage, Views
from ews.augment.autoaugment.autoaugment_spec import AutoAugmentParameters
from ews.augment.autoaugment.released_operations import Operations

POLICIES = {"cifar10": AutoAugmentPolicy.CIFAR10, "svhn": AutoAugmentPolicy.SVHN}

Step = tuple[str, float, int | None]
"""An operation's name, how often it is applied, and the number of its magnitude."""


@dataclass(frozen=True)
class Released:
    """A policy with the operations of the authors of EWS, on one image: uint8 [H, W, 3] -> uint8 [1, H, W, 3].

    A sub-policy is drawn, and each of its two operations is applied with its probability in a direction of its own.
    """

    policies: list[tuple[Step, Step]]
    operations: Operations

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        picture = Image.fromarray(image)
        for name, probability, number in self.policies[generator.integers(len(self.policies))]:
            chance, sign = generator.random(), 1 if generator.random() < 0.5 else -1
            if chance < probability:
                picture = self.operations.apply(picture, name, number, sign)
        return np.asarray(picture)[None]


@dataclass(frozen=True)
class Torchvision:
    """A policy of torchvision on one image, under a seed: uint8 [H, W, 3] -> uint8 [1, H, W, 3]."""

    policy: TorchvisionPolicy

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        # torchvision takes no generator: its draws come from the global one, which is put back afterwards.
        # Only the CPU's is seeded (torch.manual_seed would touch every device's).
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed >> 1)
            return np.asarray(self.policy(Image.fromarray(image)))[None]


def make_views(parameters: AutoAugmentParameters) -> Views:
    """Return what makes the view of an image."""
    policy = TorchvisionPolicy(
        POLICIES[parameters.policy], InterpolationMode(parameters.interpolation), [float(parameters.fill)] * 3
    )
    if parameters.form == "torchvision":
        return Torchvision(policy)
    interpolation = Image.Resampling[parameters.interpolation.upper()]
    return Released(policy.policies, Operations(fill=parameters.fill, interpolation=interpolation))


class AutoAugment(ImageByImage):
    """Policies found by Cubuk et al., CVPR 2019, as torchvision lists them; one view, plain cross-entropy."""

    views = 1

    def __init__(self, source: Source, crop: Crop, parameters: AutoAugmentParameters) -> None:
        """Take the images and the policy.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        super().__init__(make_views(parameters), source, crop)

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return the cross-entropy of the only view."""
        return cross_entropy(logits[0], labels)
