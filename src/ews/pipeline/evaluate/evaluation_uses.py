"""What code an evaluation runs; imported while the DAG is planned, hence without torch."""

from ews.core.fingerprint import Use, fingerprint
from ews.models import architecture_registry as models
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.study.cell import Cell

COMMAND = "ews.pipeline.evaluate.evaluate_command"
"""The module that every evaluation begins with."""


def code(cell: Cell, kind: str, options: Options) -> str:
    """Return the fingerprint of what an evaluation runs: of :func:`uses`."""
    return fingerprint(COMMAND, uses(cell, kind, options))


def uses(cell: Cell, kind: str, options: Options) -> list[Use]:
    """Return the functions that import what an evaluation runs by way of registries.

    Args:
        cell: the training run whose network is measured.
        kind: of evaluation, e.g. ``"clean"``.
        options: what decides its result.
    """
    spec = EVALUATIONS[kind]
    network = models.uses(cell.architecture.parameters, cell.architecture.dynamic_parameters)
    return [spec.implementation, *spec.components(options), *network]
