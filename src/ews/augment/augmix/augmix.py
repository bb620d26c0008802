"""AugMix: a clean view and two mixtures of random operation chains, held together by a Jensen-Shannon term."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ews.augment.augmentation import CrossEntropy, Source
from ews.augment.augmentation_specs import Crop
from ews.augment.augmentation_workers import ImageByImage
from ews.augment.augmix.augmix_spec import AugMixParameters
from ews.augment.augmix.operations import OPERATIONS, Operation

MIXTURES = 2
"""Augmented views beside the clean one (the paper's number)."""

LOWEST_LEVEL = 0.1
"""Levels are uniform from here to the severity (the paper's code)."""


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """AugMix of one image: uint8 [H, W, 3] -> uint8 [3, H, W, 3], the clean image first (Algorithm 1 of the paper).

    ``width`` chains of ``depth_min`` to ``depth_max`` operations (uniform), each operation at a level uniform in
    [0.1, ``severity``] of 10, are averaged with weights from Dirichlet(``alpha``) and mixed with the clean image by
    m from Beta(``alpha``, ``alpha``). The mixture is rounded to 8 bits, as the images of the test set are.
    """

    width: int
    depth_min: int
    depth_max: int
    severity: float
    alpha: float
    operations: Sequence[Operation] = OPERATIONS

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        return np.stack([image, *(self.mix(image, generator) for _ in range(MIXTURES))])

    def mix(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return one augmented view, uint8 [H, W, 3]."""
        weights = generator.dirichlet([self.alpha] * self.width)
        share = generator.beta(self.alpha, self.alpha)
        mixture = (1 - share) * image.astype(np.float64)
        source = Image.fromarray(image)
        for weight in weights:
            mixture += share * weight * np.asarray(self.chain(source, generator))
        return np.rint(mixture).clip(0, 255).astype(np.uint8)

    def chain(self, image: Image.Image, generator: np.random.Generator) -> Image.Image:
        """Return the image after a random sequence of operations; one may come twice."""
        depth = int(generator.integers(self.depth_min, self.depth_max, endpoint=True))
        for choice in generator.integers(len(self.operations), size=depth):
            level = generator.uniform(LOWEST_LEVEL, self.severity)
            sign = 1 if generator.random() < 0.5 else -1
            image = self.operations[choice](image, level, sign)
        return image


class AugMix(ImageByImage):
    """Hendrycks et al., ICLR 2020: three views, cross-entropy on the clean one plus a consistency term."""

    views = 1 + MIXTURES

    def __init__(self, source: Source, crop: Crop, parameters: AugMixParameters) -> None:
        """Take the images and the parameters of the mixtures.

        Raises:
            EwsError: the images or the padding do not fit.
        """
        mixer = Mixer(
            width=parameters.width,
            depth_min=parameters.depth_min,
            depth_max=parameters.depth_max,
            severity=parameters.severity,
            alpha=parameters.alpha,
        )
        super().__init__(mixer, source, crop)
        self._jsd_weight = parameters.jsd_weight

    def loss(self, logits: Tensor, labels: Tensor, cross_entropy: CrossEntropy) -> Tensor:
        """Return cross-entropy of the clean view + ``jsd_weight`` * Jensen-Shannon divergence of all three."""
        return cross_entropy(logits[0], labels) + self._jsd_weight * jensen_shannon(logits)


def jensen_shannon(logits: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of the views' predictions, averaged over the batch, in nats.

    (1/V) sum_v KL(p_v || M) with M the mean of the p_v (AugMix, equation 1): 0 where all agree, log V where
    each is sure of another class. In logarithms throughout and in float32, autocast or not, hence finite
    for any finite logits.

    Args:
        logits: [V, B, classes].
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_p = logits.float().log_softmax(dim=-1)
        log_mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
        return (log_p.exp() * (log_p - log_mean)).sum(dim=-1).mean()
