"""Training augmentations by name; each entry is a module of its own behind :class:`ews.augment.base.Augment`."""

from typing import TYPE_CHECKING, Any

from ews.core.registry import lookup

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ews.augment.base import Augment

REGISTRY: dict[str, str] = {
    "standard": "ews.augment.standard.standard:Standard",
    "autoaugment": "ews.augment.autoaugment.autoaugment:AutoAugment",
    "augmix": "ews.augment.augmix.augmix:AugMix",
}


def build(
    augmentation: dict[str, Any],
    *,
    images: "np.ndarray",
    seed: int,
    device: "torch.device | str",
    workers: int,
) -> "Augment":
    """Build the augmentation that ``augmentation["name"]`` names; the other keys are its parameters.

    Args:
        augmentation: the cell's ``augmentation`` object, e.g. ``{"name": "standard", "padding": 4, "flip": true}``.
        images: all training images, uint8 [N, H, W, 3], memory-mapped or not. Indices given to the
            loader point into it.
        seed: the cell's seed.
        device: where batches are wanted.
        workers: processes that augment image by image; 0 does it in this one. No effect on values.

    Raises:
        EwsError: the name is unknown, or a value does not fit.
    """
    parameters = {key: value for key, value in augmentation.items() if key != "name"}
    entry = lookup(REGISTRY, augmentation["name"], kind="augmentation")
    built: Augment = entry(images=images, seed=seed, device=device, workers=workers, **parameters)
    return built
