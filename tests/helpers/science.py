"""Networks, augmentations and methods from the short form that tests write them in: mappings with a name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ews import augment, models
from ews.augment.augmentation import Augment, Source
from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import Crop
from ews.methods.component import Context
from ews.methods.compose import Method, compose
from ews.methods.method_registry import METHODS
from ews.models.architecture_registry import ARCHITECTURES, DYNAMIC
from ews.models.network import Head, Network


def build_network(
    architecture: Mapping[str, Any],
    *,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator | None = None,
) -> Network:
    """Build a network, e.g. of ``{"network": "cifar_resnet", "depth": 8, "width": 4}``."""
    values = {key: value for key, value in architecture.items() if key not in ("name", "dynamic")}
    parameters = ARCHITECTURES.find(values["network"]).parameters.model_validate(values)
    part = dict(architecture.get("dynamic") or {})
    dynamic = DYNAMIC.find(part.pop("name")).parameters.model_validate(part) if part else None
    return models.build(parameters, Head(classes=classes, mean=mean, std=std, generator=generator), dynamic=dynamic)


def build_augmentation(
    entry: Mapping[str, Any], *, images: np.ndarray, seed: int, device: torch.device | str, workers: int
) -> Augment:
    """Build an augmentation, e.g. of ``{"name": "standard", "padding": 4, "flip": True}``; crop_fill: of the crop."""
    values = dict(entry)
    parameters = AUGMENTATIONS.find(values.pop("name")).parameters
    crop = Crop(padding=values.pop("padding"), flip=values.pop("flip"), fill=values.pop("crop_fill", 0))
    source = Source(images=images, seed=seed, device=device, workers=workers)
    return augment.build(parameters.model_validate(values), source, crop)


def build_method(context: Context, *components: Mapping[str, Any]) -> Method:
    """Compose a method, e.g. of ``{"name": "dropout", "rate": 0.3}``; what is left out has its default."""
    found = []
    for component in components:
        values = {key: value for key, value in component.items() if key not in ("name", "teachers")}
        found.append(METHODS.find(component["name"]).parameters.model_validate(values))
    return compose(found, context)
