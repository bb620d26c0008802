"""Which registry entries a cell's training runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any

import ews.models


def uses(cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (module that holds the registry, entry's name) for :func:`ews.core.fingerprint.fingerprint`.

    Args:
        cell: one training's resolved parameters.
    """
    entries = [*ews.models.uses(cell["architecture"]), ("ews.augment", cell["augmentation"]["name"])]
    for teacher in teachers(cell).values():
        entries += ews.models.uses(teacher["architecture"])
    for component in cell["method"]["components"]:
        entries.append(("ews.methods", component["name"]))
        if "search" in component:
            entries.append(("ews.subnets.search", component["search"]))
    return entries


def teachers(cell: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the cells that a cell's training learns from, by their role: ``run``, ``weights``, ..."""
    found: dict[str, dict[str, Any]] = {}
    for component in cell["method"]["components"]:
        found |= component.get("teachers", {})
    return found
