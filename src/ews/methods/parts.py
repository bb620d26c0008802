"""What DAMP, SAM and ASAM share: sub-batches, the weights that multiply, and layers that treat each part by its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from ews.core.errors import EwsError
from ews.methods.component import Batch

# Methods that ask about a tensor or write into it; those that end in one underscore are written into as well.
ABOUT = frozenset(
    {"__set__", "__delete__", "__setitem__", "__len__", "__hash__", "__repr__", "dim", "numel", "size", "stride"}
    | {"is_contiguous", "is_floating_point", "detach", "register_hook", "data_ptr"}
)
TRANSPOSES = ("T", "mT", "H", "mH")


def kernels_and_scales(network: nn.Module) -> list[Tensor]:
    """Return the weights of convolutions and linear layers and the scales of normalisations; no shifts, no biases."""
    layers = (_ConvNd, nn.Linear, _NormBase, nn.LayerNorm, nn.GroupNorm)
    weights = (module.weight for module in network.modules() if isinstance(module, layers))
    return [weight for weight in weights if weight is not None]


def check_first(sub_batches: int, batch: Batch, *, where: str, least: int = 1) -> None:
    """Raise an :class:`EwsError` if the first batch of a training run has fewer than ``least`` images for a sub-batch.

    The last batch of an epoch may: it is divided into fewer.
    """
    most = max(1, len(batch.labels) // least)
    if batch.iteration == 1 and sub_batches > most:
        raise EwsError(
            f"{where}: sub_batches {sub_batches} is too many for the {len(batch.labels)} images of a batch; "
            f"valid: 1 to {most}."
        )


def sizes(images: int, sub_batches: int, *, least: int = 1) -> list[int]:
    """Return how many consecutive images each sub-batch has; they differ by one at most, the larger ones first.

    Args:
        images: number of images, at least 1.
        sub_batches: M, at least 1.
        least: images that every sub-batch must have; a small batch is divided into fewer than M for it.
    """
    parts = max(1, min(sub_batches, images // least))
    whole, rest = divmod(images, parts)
    return [whole + (part < rest) for part in range(parts)]


def split(batch: Batch, sub_batches: int, *, least: int = 1) -> list[Batch]:
    """Return a batch's sub-batches of consecutive images, all views and extra tensors of an image in the same one.

    Args:
        batch: ``extra`` holds tensors [V, B, ...] or [B, ...] where the batch has V views of B images.
        sub_batches: see :func:`sizes`.
        least: see :func:`sizes`.

    Raises:
        EwsError: an extra tensor has neither shape.
    """
    views, images = batch.images.shape[:2]

    def part(name: str, values: Tensor, chosen: slice) -> Tensor:
        if values.shape[:2] == (views, images):
            return values[:, chosen]
        if values.ndim == 0 or len(values) != images:
            raise EwsError(
                f"sub-batches: cannot divide {name!r} of shape {list(values.shape)}; "
                f"it must begin with [{views}, {images}] or [{images}]."
            )
        return values[chosen]

    bounds = [0, *accumulate(sizes(images, sub_batches, least=least))]
    return [
        replace(
            batch,
            images=batch.images[:, start:end],
            labels=batch.labels[start:end],
            extra={name: part(name, values, slice(start, end)) for name, values in batch.extra.items()},
        )
        for start, end in pairwise(bounds)
    ]


def divide(count: int, *, views: int, images: int, sub_batches: int) -> tuple[int, list[int]]:
    """Return how a pass is divided: its views, and how many images each part has, of one view.

    Images lie along the first dimension, as [V * B] of V views of B images, or several such passes joined, as AW-Net's
    of clean and attacked ones. All views of an image, in all passes that are joined, are in the same part.

    Args:
        count: what the pass computes, views times images; it may have fewer images than the batch.
        views: V; where it does not divide ``count``, these are taken for single views.
        images: B of the whole batch.
        sub_batches: see :func:`sizes`.
    """
    if count % (views * images) == 0:
        found = count // images
    else:
        found = views if count % views == 0 else 1
    return found, sizes(count // found, sub_batches)


def in_turn(layers: Sequence[Callable[[Tensor], Tensor]], x: Tensor, views: int, counts: Sequence[int]) -> Tensor:
    """Compute part after part of [V * B, ...], each by its own layer, and return them in the same order.

    Args:
        layers: one for each part.
        x: what passes through them.
        views: V.
        counts: images of each part, of one view; together B.
    """
    if len(counts) == 1:
        return layers[0](x)
    # split collects gradients by one concatenation; slices would write zeros over the whole for every part.
    apart = x.split(list(counts)) if views == 1 else x.unflatten(0, (views, -1)).split(list(counts), dim=1)
    found = [layer(part if views == 1 else part.flatten(0, 1)) for layer, part in zip(layers, apart, strict=True)]
    if views == 1:
        return torch.cat(found)
    return torch.cat([part.unflatten(0, (views, -1)) for part in found], dim=1).flatten(0, 1)


def scaling(like: Tensor) -> Callable[[Tensor, Tensor | None, Tensor | None], Tensor]:
    """Return what multiplies the channels of [B, C, ...] by a scale and adds a shift, either of which may be missing.

    Args:
        like: a tensor [C] on the device, in the precision, of scale and shift.
    """
    mean, variance = torch.zeros_like(like), torch.ones_like(like)

    def scale(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        # Of mean 0 and variance 1: torch's own kernel scales and shifts faster on a CPU than broadcasting does.
        # Some of its versions refuse an epsilon of 0; 1 + 1e-30 is 1 in every precision.
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=1e-30)

    return scale


def asks_or_writes(func: Any) -> bool:
    """Tell functions that compute nothing of a tensor: attributes, detaching, and whatever writes into it."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(func.__self__, "__name__", "") not in TRANSPOSES
    return name in ABOUT or (name.endswith("_") and not name.endswith("__"))
