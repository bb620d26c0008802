"""PGD from several random starts, of which the worst counts, image by image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ews.attacks.ball import uniform_start
from ews.attacks.norms import Norm
from ews.attacks.pgd import check_threat, pgd
from ews.core.seeds import stream_seed
from ews.models.inputs import Watched, WrongInput, check_classes, check_images, check_labels


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
    norm: Norm = "Linf",
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
        epsilon, step_size, steps, norm: as of :func:`ews.attacks.pgd.pgd`.
        restarts: at least 1.
        seed: of the starts.
        indices: int64 [B], the images' own numbers, by which their starts are drawn.

    Raises:
        WrongInput: a parameter outside its range; images or labels that are none.
    """
    check_threat(epsilon=epsilon, step_size=step_size, steps=steps, norm=norm)
    check_images(images, values=True)
    check_labels(labels, images)
    if len(indices) != len(images):
        raise WrongInput(f"indices: {len(indices)} for {len(images)} images; one for each is needed.")
    if isinstance(restarts, bool) or not isinstance(restarts, int) or restarts < 1:
        raise WrongInput(f"restarts: {restarts!r} is not a whole number of at least 1.")
    worst = images.clone()
    with torch.no_grad():
        output = Watched(logits, None, values=False)(images)
    check_classes(labels, output.shape[1])
    robust = _right(output, labels)
    highest = torch.full((len(images),), -torch.inf, dtype=images.dtype, device=images.device)
    for restart in range(restarts):
        left = robust.nonzero()[:, 0]
        if len(left) == 0:
            break
        offset = _offsets(seed, np.asarray(indices)[left.tolist()], restart, images, epsilon, norm)
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
            norm=norm,
            checked=False,
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


def _offsets(seed: int, indices: np.ndarray, restart: int, images: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """Draw a change for each image, uniform in the ball, in the type and on the device of ``images``."""
    shape = images.shape[1:]
    size = int(np.prod(shape))
    if norm == "Linf":
        noise = np.stack([_uniform(seed, int(index), restart, size).reshape(tuple(shape)) for index in indices])
        return torch.from_numpy(epsilon * (2 * noise - 1)).to(images)
    # Two uniform numbers for a normal one (Box and Muller), and one for the distance from the image.
    drawn = np.stack([_uniform(seed, int(index), restart, 2 * size + 1) for index in indices])
    normal = np.sqrt(-2 * np.log1p(-drawn[:, :size])) * np.cos(2 * np.pi * drawn[:, size:-1])
    directions = torch.from_numpy(normal.reshape(-1, *shape))
    return uniform_start(directions, torch.from_numpy(drawn[:, -1]), epsilon).to(images)


def _uniform(seed: int, index: int, restart: int, count: int) -> np.ndarray:
    """Draw float64 in [0, 1) for an image; from raw bits, which NumPy promises to keep between versions."""
    bits = np.random.PCG64(stream_seed(seed, "pgd", index, restart)).random_raw(count)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
