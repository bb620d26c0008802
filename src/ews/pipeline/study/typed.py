"""The typed parameters of what a cell in text names: its network, its augmentation, its method's components."""

from collections.abc import Mapping
from typing import Any

from ews.augment.registry import AUGMENTATIONS
from ews.augment.spec import AugmentationParameters, Crop
from ews.methods.registry import METHODS
from ews.methods.spec import MethodParameters
from ews.models.registry import ARCHITECTURES, DYNAMIC
from ews.models.spec import ArchitectureParameters, DynamicParameters

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
