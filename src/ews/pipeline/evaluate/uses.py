"""Which registry entries an evaluation runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any

import ews.models


def uses(cell: Mapping[str, Any], kind: str, options: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    """Return (module that holds the registry, entry's name) for ``fingerprint("ews.pipeline.evaluate", ...)``.

    Args:
        cell: the resolved parameters of the training whose network is measured.
        kind: the evaluation, e.g. ``"clean"``.
        options: its own, as on the command line. With ``seed`` and ``profile`` the corruptions in ``names`` are made
            by this package, and their code counts, stored or not.
    """
    entries = [("ews.pipeline.evaluate", kind), *ews.models.uses(cell["architecture"])]
    options = options or {}
    if kind == "corruption" and options.get("seed") is not None and options.get("profile") is not None:
        entries += [("ews.corruptions", name) for name in sorted(set(options["names"]))]
    return entries
