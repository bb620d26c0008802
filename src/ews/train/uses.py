"""Which registry entries a cell's training runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any


def uses(cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (module that holds the registry, entry's name) for :func:`ews.fingerprint.fingerprint`.

    Args:
        cell: one training's resolved parameters.
    """
    entries = [
        ("ews.models", cell["architecture"]["network"]),
        ("ews.augment", cell["augmentation"]["name"]),
    ]
    for component in cell["method"]["components"]:
        entries.append(("ews.methods", component["name"]))
        if "search" in component:
            entries.append(("ews.subnets.search", component["search"]))
    return entries
