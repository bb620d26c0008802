"""Parameters as one flat mapping from key to value: what cells are compared by, and what names of folders spell."""

from pydantic import BaseModel, JsonValue

from ews.methods.method_registry import METHODS
from ews.pipeline.study.cell import Cell

Flat = dict[str, JsonValue]


def flatten(cell: Cell) -> Flat:
    """Return a cell's parameters but dataset, names and seed: `ews.width`, `recipe.epochs`, `crop.fill`."""
    flat = flat_section(cell.architecture.parameters, "architecture.")
    if cell.architecture.dynamic is not None:
        flat |= flat_section(cell.architecture.dynamic.parameters, "architecture.dynamic.")
    flat |= flat_section(cell.augmentation.crop, "crop.")
    flat |= flat_section(cell.augmentation.parameters, "augmentation.")
    flat |= flat_section(cell.recipe, "recipe.")
    for component in cell.method.components:
        flat |= flat_section(component.parameters, f"{component.name}.")
        for role in METHODS[component.name].teachers:
            teacher = cell.teachers[role.role]
            place = f"{component.name}.teachers.{role.role}"
            flat[f"{place}.architecture"] = teacher.architecture.name
            flat[f"{place}.augmentation"] = teacher.augmentation
            flat[f"{place}.method"] = teacher.method
            flat[f"{place}.seed"] = teacher.seed
            flat[f"{place}.weights"] = teacher.weights
    return flat


def flat_section(section: BaseModel, prefix: str = "") -> Flat:
    """Return a section's values, and those of the sections in it, by key path."""
    flat: Flat = {}
    for key, value in section:
        if isinstance(value, BaseModel):
            flat |= flat_section(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
