"""Which registry entries an evaluation runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any


def uses(cell: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """Return (module that holds the registry, entry's name) for ``fingerprint("ews.evaluate", ...)``.

    Args:
        cell: the resolved parameters of the training whose network is measured.
        kind: the evaluation, e.g. ``"clean"``.
    """
    return [("ews.evaluate", kind), ("ews.models", cell["architecture"]["network"])]
