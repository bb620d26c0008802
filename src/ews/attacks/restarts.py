"""PGD from several random starts, of which the worst counts, image by image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ews.attacks.pgd import check_threat, pgd
from ews.core.seeds import stream_seed


@dataclass(frozen=True, eq=False)
class Worst:
    """What the attack found.

    Attributes:
        images: like the clean ones: the first misclassified image, or else that of the largest loss.
        robust: bool [B] on the CPU: classified correctly, the clean image included.
    """

    images: Tensor
    robust: Tensor


def worst_of_restarts(
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    restarts: int,
    seed: int,
    indices: np.ndarray,
) -> Worst:
    """Attack each image until it is misclassified, at most ``restarts`` times, by cross-entropy and uniform starts.

    An image that is misclassified without an attack stays as it is: it is in the ball. Only the last iterate of a
    restart is looked at, as is usual for "PGD-20". A start is a function of (seed, image, restart) alone, so that it
    does not depend on the batch, on the device or on which other images are attacked; what the network computes for an
    image may still differ by rounding with the size of the batch.

    Args:
        logits: images to logits [B, classes].
        images: float [B, C, H, W] in [0, 1].
        labels: int64 [B], on the device of ``images``.
        epsilon, step_size, steps: as of :func:`ews.attacks.pgd.pgd`.
        restarts: at least 1.
        seed: of the starts.
        indices: int64 [B], the images' own numbers, by which their starts are drawn.

    Raises:
        ValueError: a parameter outside its range.
    """
    check_threat(epsilon=epsilon, step_size=step_size, steps=steps)
    if isinstance(restarts, bool) or not isinstance(restarts, int) or restarts < 1:
        raise ValueError(f"restarts: {restarts!r} is not a whole number of at least 1")
    worst = images.clone()
    robust = correct(logits, images, labels)
    highest = torch.full((len(images),), -torch.inf, dtype=images.dtype, device=images.device)
    for restart in range(restarts):
        left = robust.nonzero()[:, 0]
        if len(left) == 0:
            break
        noise = np.stack([_uniform(seed, int(indices[place]), restart, images.shape[1:]) for place in left.tolist()])
        offset = torch.from_numpy(epsilon * (2 * noise - 1)).to(images)
        clean, truth = images[left], labels[left]
        found = pgd(
            logits,
            clean,
            truth,
            epsilon=epsilon,
            step_size=step_size,
            steps=steps,
            start="none",
            loss="cross_entropy",
            generator=None,
            initial=clean + offset,
        )
        with torch.no_grad():
            output = logits(found).float()
        loss = F.cross_entropy(output, truth, reduction="none").to(images.dtype)
        right = _right(output, truth)
        better = ~right | (loss > highest[left])
        worst[left[better]] = found[better]
        highest[left[better]] = loss[better]
        robust[left[~right]] = False
    return Worst(images=worst, robust=robust.cpu())


def correct(logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """Return which images are classified correctly, bool [B]; not those with a logit that is not finite."""
    with torch.no_grad():
        return _right(logits(images), labels)


def _right(output: Tensor, labels: Tensor) -> Tensor:
    return output.isfinite().all(dim=1) & (output.argmax(dim=1) == labels)


def _uniform(seed: int, index: int, restart: int, shape: torch.Size) -> np.ndarray:
    """Draw float64 in [0, 1) of an image's shape; from raw bits, which NumPy promises to keep between versions."""
    bits = np.random.PCG64(stream_seed(seed, "pgd", index, restart)).random_raw(int(np.prod(shape)))
    return (bits >> np.uint64(11)).astype(np.float64).reshape(tuple(shape)) * 2.0**-53
