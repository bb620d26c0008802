"""Small images of noise, and every augmentation built with its defaults, the paper's parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.science import build_augmentation

from ews.augment.augmentation import Augment
from ews.augment.augmentation_registry import AUGMENTATIONS

Make = Callable[..., Augment]


@pytest.fixture
def images() -> np.ndarray:
    """uint8 [40, 32, 32, 3]: smooth, so that every operation changes something."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (40, 8, 8, 3))
    noise = generator.integers(-20, 21, (40, 32, 32, 3))
    return (coarse.repeat(4, axis=1).repeat(4, axis=2) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def make(images: np.ndarray) -> Make:
    """Build an augmentation by name; keywords change its parameters or what ``build`` takes."""

    def build(name: str, **changes: Any) -> Augment:
        arguments = {"images": images, "seed": 0, "device": "cpu", "workers": 0}
        arguments |= {key: changes.pop(key) for key in list(changes) if key in arguments}
        cell = {"name": name, "padding": 4, "flip": True, **AUGMENTATIONS[name].parameters().model_dump(), **changes}
        return build_augmentation(cell, **arguments)

    return build
