"""Which registry entries an evaluation runs; imported while the DAG is planned, hence without torch."""

from collections.abc import Mapping
from typing import Any

import ews.models
from ews.core.fingerprint import fingerprint
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.spec import EvaluationOptions


def code(cell: Mapping[str, Any], kind: str, options: EvaluationOptions) -> str:
    """Return the fingerprint of what an evaluation runs.

    Args:
        cell: the resolved parameters of the training whose network is measured.
        kind: of evaluation, e.g. ``"clean"``.
        options: what decides its result.
    """
    entries = [("ews.pipeline.evaluate", kind), *ews.models.uses(cell["architecture"])]
    return fingerprint("ews.pipeline.evaluate.command", [*entries, *EVALUATIONS[kind].components(options)])
