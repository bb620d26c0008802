"""Predictions of a network, image by image, in a compact form."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ews.core.device import exact

BATCH = 250
"""Images per pass: a choice of speed and memory; the result does not depend on it but for rounding."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Per-image results.

    Attributes:
        prediction: [n], the class of the largest logit; the number of classes, which no label equals, where a logit
            is not finite. uint8, or uint16 with more than 255 classes.
        confidence: float16 [n], the largest softmax probability; 0 where a logit is not finite.
    """

    prediction: np.ndarray
    confidence: np.ndarray


def predict(network: nn.Module, images: np.ndarray, *, indices: np.ndarray, device: torch.device) -> Predictions:
    """Compute the predictions for some of a stack of images.

    Args:
        network: images float32 [B, 3, H, W] in [0, 1] to logits [B, classes]; in evaluation mode, on ``device``.
        images: uint8 [N, H, W, 3], may be memory-mapped.
        indices: int64 [n], n >= 1; which images, in which order.
        device: where to compute.
    """
    return predict_batches(network, (images[part] for part in parts(indices)), device=device)


def parts(indices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices of each pass, :data:`BATCH` but for the last."""
    return (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))


def predict_batches(network: nn.Module, batches: Iterable[np.ndarray], *, device: torch.device) -> Predictions:
    """Compute the predictions for images that come batch by batch.

    Args:
        network: as in :func:`predict`.
        batches: uint8 [B, H, W, 3] each, at least one; each is a pass of its own, so that the same images in the same
            batches give the same bits.
        device: where to compute.
    """
    if network.training:
        raise ValueError("the network is in training mode: its normalisation would use the batch's statistics")
    predictions, confidences = [], []
    classes = 0
    with torch.inference_mode(), exact():
        for images in batches:
            pixels = torch.from_numpy(images).to(device)
            logits = network(pixels.movedim(-1, 1).to(torch.float32, memory_format=torch.contiguous_format) / 255)
            logits = logits.float()
            classes = logits.shape[1]
            finite = logits.isfinite().all(dim=1)
            confidence, prediction = logits.softmax(dim=1).max(dim=1)
            predictions.append(prediction.where(finite, classes).cpu())
            confidences.append(confidence.where(finite, 0).cpu())
    return Predictions(
        prediction=torch.cat(predictions).numpy().astype(np.min_scalar_type(classes)),
        confidence=torch.cat(confidences).numpy().astype(np.float16),
    )
