"""The validation error, which alone selects between epochs; clean, or under the objective's attack."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Logits = Callable[[Tensor], Tensor]
Shown = Callable[[Tensor, Tensor, int], Tensor]


def validation_error(
    network: nn.Module,
    logits: Logits,
    *,
    images: np.ndarray,
    labels: np.ndarray,
    indices: np.ndarray,
    batch_size: int,
    device: torch.device,
    shown: Shown | None = None,
) -> float:
    """Return the share of wrong top-1 predictions in evaluation mode, in [0, 1]; NaN logits count as wrong.

    Args:
        network: set to evaluation mode for the measurement, and back.
        logits: [B, 3, H, W] float32 in [0, 1] to [B, classes].
        images: uint8 [N, H, W, 3], may be memory-mapped.
        labels: int64 [N].
        indices: int64 [V], V > 0; which images to measure on.
        batch_size: images per pass; does not affect the result in exact arithmetic.
        device: where the network is.
        shown: (images, labels, number of the batch) to what the network is measured on, e.g. attacked images;
            None: the images themselves.
    """
    was_training = network.training
    network.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=device)
    with torch.no_grad():
        for number, start in enumerate(range(0, len(indices), batch_size)):
            part = indices[start : start + batch_size]
            pixels = torch.from_numpy(np.ascontiguousarray(images[part])).to(device)
            target = torch.from_numpy(np.asarray(labels[part], dtype=np.int64)).to(device)
            inputs = pixels.permute(0, 3, 1, 2).float() / 255
            outputs = logits(inputs if shown is None else shown(inputs, target, number))
            right = (outputs.argmax(1) == target) & outputs.isfinite().all(1)
            wrong += (~right).sum()
    network.train(was_training)
    return int(wrong) / len(indices)
