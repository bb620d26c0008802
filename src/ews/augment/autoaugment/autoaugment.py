"""AutoAugment: crop and flip, then a random one of the 25 learned sub-policies, image by image in workers."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import AutoAugment as Policy
from torchvision.transforms import AutoAugmentPolicy

from ews.augment.augmentation import CrossEntropy, Source
from ews.augment.augmentation_specs import Crop
from ews.augment.augmentation_workers import ImageByImage
from ews.augment.autoaugment.autoaugment_spec import AutoAugmentParameters

POLICIES = {"cifar10": AutoAugmentPolicy.CIFAR10, "svhn": AutoAugmentPolicy.SVHN}


@dataclass(frozen=True)
class OnePolicy:
    """Apply a policy to one image under a seed: uint8 [H, W, 3] -> uint8 [1, H, W, 3]."""

    policy: Policy

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        # torchvision takes no generator: its draws come from the global one, which is put back afterwards.
        # Only the CPU's is seeded (torch.manual_seed would touch every device's).
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed >> 1)
            return np.asarray(self.policy(Image.fromarray(image)))[None]


class AutoAugment(ImageByImage):
    """Policies found by Cubuk et al., CVPR 2019, as torchvision has them; one view, plain cross-entropy.

    Pixels that a rotation, shear or shift brings in are black (torchvision's default).
    """

    views = 1

    def __init__(self, source: Source, crop: Crop, parameters: AutoAugmentParameters) -> None:
        """Take the images and the policy.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        super().__init__(OnePolicy(Policy(POLICIES[parameters.policy])), source, crop)

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return the cross-entropy of the only view."""
        return cross_entropy(logits[0], labels)
