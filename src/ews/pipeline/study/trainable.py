"""Whether a cell can be trained, as far as its settings and the counts of its images say.

Asked when it is planned and again when it is trained, so that training refuses nothing for its settings that planning
lets pass.
"""

from typing import NamedTuple

from ews.core.errors import EwsError
from ews.methods.method_registry import METHODS
from ews.pipeline.study.cell import Cell, ComponentCell
from ews.pipeline.study.flat import flat_section
from ews.pipeline.study.methods import check_share, check_sub_batches, check_values, components

CELL = "the cell"


class Counts(NamedTuple):
    """What is known of a dataset's images; None: not known.

    Attributes:
        train: training images less those for validation.
        validation: images for validation; 0: none are held out.
        side: pixels a side.
    """

    train: int | None
    validation: int | None
    side: int | None


def check_cell(cell: Cell, *, where: str = CELL, recipe: str = f"{CELL}: recipe") -> None:
    """Refuse settings that do not go together.

    Args:
        cell: with its overrides, without which the same cell need not be possible.
        where: what holds the sections, for messages.
        recipe: key path of the recipe, for messages.

    Raises:
        EwsError: names the keys.
    """
    components(cell.method.name, where=f"{where}: method")
    parameters = cell.method.parameters
    check_values(cell.method.name, parameters, where=where)
    check_share(parameters, cell.recipe.batch_size, where=recipe)
    check_sub_batches(parameters, cell.recipe.batch_size, cell.recipe.train_images, where=recipe)
    for component in cell.method.components:
        _check_blocks(component, cell, where)
        _check_stages(component, cell, where)


def check_counts(cell: Cell, counts: Counts, *, where: str = CELL) -> None:
    """Refuse what the dataset has too few images for, or too small ones.

    Args:
        cell: to be trained on the dataset.
        counts: of its images.
        where: which cell, for messages.

    Raises:
        EwsError: names the key.
    """
    count = cell.recipe.train_images
    if count is not None and counts.train is not None and count > counts.train:
        raise EwsError(f"{where}: recipe train_images = {count}: at most {counts.train} images are there.")
    for name, section in cell.method.parameters.items():
        count = getattr(section, "validation_images", None)
        # Without a validation split no epoch is selected, whatever the key says.
        if count is not None and counts.validation and count > counts.validation:
            raise EwsError(
                f"{where}: methods.{name}.validation_images = {count}: at most {counts.validation} images are there; "
                "null: all."
            )
    padding = cell.augmentation.crop.padding
    if counts.side is not None and padding > counts.side:
        raise EwsError(
            f"{where}: datasets.{cell.dataset}.standard.padding = {padding}: its images have {counts.side} pixels a "
            f"side; valid: 0 to {counts.side}."
        )
    if cell.recipe.train_images is None and counts.train is not None:
        check_sub_batches(cell.method.parameters, cell.recipe.batch_size, counts.train, where=f"{where}: recipe")


def _check_blocks(component: ComponentCell, cell: Cell, where: str) -> None:
    """Refuse a component that works on residual blocks where the network has none."""
    if METHODS[component.name].blocks and cell.architecture.parameters.stages == 0:
        raise EwsError(
            f"{where}: method {cell.method.name!r} with the architecture {cell.architecture.name!r}: {component.name} "
            "works on residual blocks, and this kind of network has none. Take another architecture, or leave "
            f"{component.name} out."
        )


def _check_stages(component: ComponentCell, cell: Cell, where: str) -> None:
    """Refuse stages, counted from the last, that a student or a teacher does not have."""
    needed = METHODS[component.name].stages(component.parameters)
    networks = {"it trains": cell.architecture}
    networks |= {f"of the teacher {role}": teacher.architecture for role, teacher in cell.teachers.items()}
    for whose, network in networks.items():
        count = network.parameters.stages
        if needed > count:
            given = flat_section(component.parameters)["stages"]
            raise EwsError(
                f"{where}: methods.{component.name}.stages = {given}: the network {whose}, {network.name}, "
                f"has {count} stages; give some of {list(range(-count, 0))}, ascending, each once."
            )
