"""Which registry entries an evaluation runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any

from ews.core.fingerprint import Use
from ews.corruptions.registry import CORRUPTIONS
from ews.models import registry as models
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.study import typed


def uses(cell: Mapping[str, Any], kind: str, options: Mapping[str, Any] | None = None) -> list[Use]:
    """Return the functions that import what an evaluation runs, for ``fingerprint("ews.pipeline.evaluate", ...)``.

    Args:
        cell: the resolved parameters of the training whose network is measured.
        kind: the evaluation, e.g. ``"clean"``.
        options: its own, as on the command line. With ``seed`` and ``profile`` the corruptions in ``names`` are made
            by this package, and their code counts, stored or not.
    """
    found: list[Use] = [EVALUATIONS[kind].implementation, *models.uses(*typed.network(cell["architecture"]))]
    options = options or {}
    if kind == "corruption" and options.get("seed") is not None and options.get("profile") is not None:
        found += [CORRUPTIONS[name].implementation for name in options["names"]]
    return found
