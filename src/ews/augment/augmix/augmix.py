"""AugMix: a clean view and two mixtures of random operation chains, held together by a Jensen-Shannon term."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ews.augment.augmix.operations import OPERATIONS, Operation
from ews.augment.base import CrossEntropy
from ews.augment.workers import ImageByImage
from ews.core.errors import EwsError

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

    def __init__(
        self,
        *,
        images: np.ndarray,
        seed: int,
        device: torch.device | str,
        workers: int,
        padding: int,
        flip: bool,
        width: int,
        depth_min: int,
        depth_max: int,
        severity: float,
        alpha: float,
        jsd_weight: float,
    ) -> None:
        """Take what :func:`ews.augment.build` gives.

        Args:
            images: uint8 [N, H, W, 3].
            seed: the cell's seed.
            device: where batches are wanted.
            workers: processes that augment; 0: this one.
            padding: zeros on each side before the crop, in pixels.
            flip: mirror each image with probability 1/2.
            width: chains per mixture, >= 1.
            depth_min: fewest operations in a chain, >= 1.
            depth_max: most operations in a chain, >= ``depth_min``.
            severity: highest level, in [0.1, 10].
            alpha: parameter of the Dirichlet and Beta distributions, > 0.
            jsd_weight: factor of the Jensen-Shannon term, >= 0.

        Raises:
            EwsError: a value is out of its range.
        """
        ranges = {
            f"width: {width} is below 1": width < 1,
            f"depth_min: {depth_min} is not in 1..depth_max ({depth_max})": not 1 <= depth_min <= depth_max,
            f"severity: {severity} is not in [{LOWEST_LEVEL}, 10]": not LOWEST_LEVEL <= severity <= 10,
            f"alpha: {alpha} is not above 0": not alpha > 0,
            f"jsd_weight: {jsd_weight} is below 0": not jsd_weight >= 0,
        }
        for message, wrong in ranges.items():
            if wrong:
                raise EwsError(f"augmentation.{message}.")
        super().__init__(
            Mixer(width=width, depth_min=depth_min, depth_max=depth_max, severity=severity, alpha=alpha),
            images=images,
            seed=seed,
            device=device,
            workers=workers,
            padding=padding,
            flip=flip,
        )
        self._jsd_weight = jsd_weight

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
