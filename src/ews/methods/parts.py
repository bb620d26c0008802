"""What DAMP, SAM and ASAM share: sub-batches, and the weights that multiply what passes through them."""

from dataclasses import replace
from itertools import accumulate, pairwise

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from ews.core.errors import EwsError
from ews.methods.component import Batch


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
