"""What code an evaluation runs; imported while the DAG is planned, hence without torch."""

from ews.core.fingerprint import fingerprint
from ews.models import registry as models
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.spec import Options
from ews.pipeline.study.cell import Cell


def code(cell: Cell, kind: str, options: Options) -> str:
    """Return the fingerprint of what an evaluation runs.

    Args:
        cell: the training whose network is measured.
        kind: of evaluation, e.g. ``"clean"``.
        options: what decides its result.
    """
    spec = EVALUATIONS[kind]
    network = models.uses(cell.architecture.parameters, cell.architecture.dynamic_parameters)
    return fingerprint("ews.pipeline.evaluate.command", [spec.implementation, *spec.components(options), *network])
