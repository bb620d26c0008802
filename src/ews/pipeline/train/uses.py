"""Which registry entries a cell's training runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any

from ews.augment.registry import AUGMENTATIONS
from ews.core.fingerprint import Use
from ews.methods.registry import METHODS
from ews.models import registry as models
from ews.pipeline.study import typed


def uses(cell: Mapping[str, Any]) -> list[Use]:
    """Return the functions that import what a training runs, for :func:`ews.core.fingerprint.fingerprint`.

    Args:
        cell: one training's resolved parameters.
    """
    augmentation, _ = typed.augmentation(cell["augmentation"])
    found: list[Use] = [AUGMENTATIONS.of(augmentation).implementation]
    found += models.uses(*typed.network(cell["architecture"]))
    for teacher in teachers(cell).values():
        found += models.uses(*typed.network(teacher["architecture"]))
    for component in typed.components(cell["method"]):
        found += METHODS.uses(component)
    return found


def teachers(cell: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the cells that a cell's training learns from, by their role: ``run``, ``weights``, ..."""
    found: dict[str, dict[str, Any]] = {}
    for component in cell["method"]["components"]:
        found |= component.get("teachers", {})
    return found
