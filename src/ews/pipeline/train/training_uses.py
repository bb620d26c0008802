"""Which registry entries a cell's training runs; imported while the DAG is planned, hence without torch."""

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.fingerprint import Use, fingerprint
from ews.methods.method_registry import METHODS
from ews.models import architecture_registry as models
from ews.pipeline.study.cell import Cell


def code(cell: Cell) -> str:
    """Return the fingerprint of what a training runs."""
    return fingerprint("ews.pipeline.train.train_command", uses(cell))


def uses(cell: Cell) -> list[Use]:
    """Return the functions that import what a training runs by way of registries."""
    found: list[Use] = [AUGMENTATIONS.of(cell.augmentation.parameters).implementation]
    for network in (cell.architecture, *(teacher.architecture for teacher in cell.teachers.values())):
        found += models.uses(network.parameters, network.dynamic_parameters)
    for component in cell.method.components:
        found += METHODS.uses(component.parameters)
    return found
