"""What a training augmentation says about itself, once; nothing here brings torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import Field

from ews.core.values import Section

if TYPE_CHECKING:
    from ews.augment.augmentation import Augment, Source


class Crop(Section):
    """What `standard` augmentation means for one dataset; every augmentation begins with it."""

    padding: int = Field(ge=0, le=64, description="Padding before the random crop, pixels; 0: no crop.")
    flip: bool = Field(description="Random horizontal flip with probability 1/2.")
    fill: int = Field(
        default=0, ge=0, le=255, description="Grey level of the padding; 128 in the released adversarial scripts."
    )


class AugmentationParameters(Section):
    """Base of every augmentation's parameters."""


P = TypeVar("P", bound=AugmentationParameters)


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Generic[P]):
    """A training augmentation.

    Attributes:
        name: as params.yaml spells it.
        summary: a line for tables of augmentations, with its source.
        parameters: their type; each field has a range, a description and a default.
        implementation: imports and returns what builds the augmentation from its source of images, the dataset's crop
            and its parameters. The code fingerprint of a cell follows the imports in this function's body.
    """

    name: str
    summary: str
    parameters: type[P]
    implementation: Callable[[], Callable[[Source, Crop, P], Augment]]
