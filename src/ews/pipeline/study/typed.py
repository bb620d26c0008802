"""The typed parameters of what a cell in text names: its network, its augmentation, its method's components."""

from collections.abc import Mapping
from typing import Any

from ews.augment.registry import AUGMENTATIONS
from ews.augment.spec import AugmentationParameters, Crop
from ews.methods.registry import METHODS
from ews.methods.spec import MethodParameters
from ews.models.registry import ARCHITECTURES, DYNAMIC
from ews.models.spec import ArchitectureParameters, DynamicParameters
from ews.pipeline.study.cell import (
    ArchitectureCell,
    AugmentationCell,
    Cell,
    ComponentCell,
    DynamicCell,
    MethodCell,
    TeacherRun,
)
from ews.pipeline.study.recipe_spec import Recipe

Entry = Mapping[str, Any]


def network(architecture: Entry) -> tuple[ArchitectureParameters, DynamicParameters | None]:
    """Return the parameters of a cell's network, and of its dynamic part if it has one.

    Raises:
        EwsError: an unknown name.
        ValidationError: parameters that it does not have, or out of range.
    """
    kind = ARCHITECTURES.find(architecture["network"], where="architecture")
    parameters = kind.parameters.model_validate(_less(architecture, "name", "dynamic"))
    part = architecture.get("dynamic")
    if part is None:
        return parameters, None
    changed = DYNAMIC.find(part["name"], where="architecture.dynamic")
    return parameters, changed.parameters.model_validate(_less(part, "name"))


def augmentation(entry: Entry) -> tuple[AugmentationParameters, Crop]:
    """Return the parameters of a cell's augmentation, and the crop that it begins with.

    Raises:
        EwsError: an unknown name.
        ValidationError: parameters that it does not have, or out of range.
    """
    crop = {key: entry[key] for key in Crop.model_fields if key in entry}
    parameters = AUGMENTATIONS.find(entry["name"], where="augmentation").parameters
    return parameters.model_validate(_less(entry, "name", *crop)), Crop.model_validate(crop)


def components(method: Entry) -> list[MethodParameters]:
    """Return the parameters of a method's components, in their order.

    Raises:
        EwsError: an unknown name.
        ValidationError: parameters that it does not have, or out of range.
    """
    where = f"method {method['name']}"
    return [
        METHODS.find(entry["name"], where=where).parameters.model_validate(_less(entry, "name", "teachers"))
        for entry in method["components"]
    ]


def _less(entry: Entry, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}


def cell(entry: Entry) -> Cell:
    """Return a cell in text as one typed value.

    Raises:
        EwsError: an unknown name.
        ValidationError: parameters that it does not have, or out of range.
    """
    kind, crop = augmentation(entry["augmentation"])
    names = [component["name"] for component in entry["method"]["components"]]
    parts = zip(names, components(entry["method"]), strict=True)
    taught = {
        role: TeacherRun(**{**teacher, "architecture": architecture(teacher["architecture"])})
        for component in entry["method"]["components"]
        for role, teacher in component.get("teachers", {}).items()
    }
    return Cell(
        dataset=entry["dataset"],
        architecture=architecture(entry["architecture"]),
        augmentation=AugmentationCell(name=entry["augmentation"]["name"], crop=crop, parameters=kind),
        method=MethodCell(
            name=entry["method"]["name"],
            components=tuple(ComponentCell(name=name, parameters=parameters) for name, parameters in parts),
        ),
        teachers=taught,
        recipe=Recipe.model_validate(entry["recipe"]),
        seed=entry["seed"],
    )


def architecture(entry: Entry) -> ArchitectureCell:
    """Return a cell's network as one typed value.

    Raises:
        EwsError: an unknown name.
        ValidationError: parameters that it does not have, or out of range.
    """
    parameters, dynamic = network(entry)
    part = None if dynamic is None else DynamicCell(name=entry["dynamic"]["name"], parameters=dynamic)
    return ArchitectureCell(name=entry["name"], parameters=parameters, dynamic=part)
