"""A cell: everything that decides what one training run does, as one frozen, typed value.

It is built once, from params.yaml, and handed on whole: to the trainer, which gives each part its parameters as they
are here, and to records. At a shell and in files it is JSON, whose `parameters` are read as the type that the registry
has for the `name` beside them.
"""

import json
from typing import Any, Literal

from pydantic import SerializeAsAny, ValidationError, ValidationInfo, field_validator

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import AugmentationParameters, Crop
from ews.core.errors import EwsError
from ews.core.files import parse_json, read_json
from ews.core.registry import Described, DescribedRegistry
from ews.core.values import Section, Seed
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters
from ews.models.architecture_registry import ARCHITECTURES, DYNAMIC
from ews.models.architecture_specs import ArchitectureParameters, DynamicParameters
from ews.pipeline.study.recipe_spec import Recipe

REMEDY = "Give JSON or @FILE; `ews study cell RUN` prints a whole cell."
Weights = Literal["last", "best"]


class DynamicCell(Section):
    """What makes a network depend on its input."""

    name: str
    parameters: SerializeAsAny[DynamicParameters]

    @field_validator("parameters", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:
        return _as_registered(DYNAMIC, info.data.get("name"), value)


class ArchitectureCell(Section):
    """A network: its name in params.yaml, and what it is."""

    name: str
    parameters: SerializeAsAny[ArchitectureParameters]
    dynamic: DynamicCell | None = None

    @property
    def dynamic_parameters(self) -> DynamicParameters | None:
        """What makes it depend on its input, as networks are built with it."""
        return None if self.dynamic is None else self.dynamic.parameters

    @field_validator("parameters", mode="before")
    @classmethod
    def _typed(cls, value: Any) -> Any:
        return _as_registered(ARCHITECTURES, value.get("network") if isinstance(value, dict) else None, value)


class AugmentationCell(Section):
    """A training augmentation, and the crop that it begins with."""

    name: str
    crop: Crop
    parameters: SerializeAsAny[AugmentationParameters]

    @field_validator("parameters", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:
        return _as_registered(AUGMENTATIONS, info.data.get("name"), value)


class ComponentCell(Section):
    """A component of a method."""

    name: str
    parameters: SerializeAsAny[MethodParameters]

    @field_validator("parameters", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:
        return _as_registered(METHODS, info.data.get("name"), value)


class MethodCell(Section):
    """A composition; without components it is plain training, `vanilla`."""

    name: str
    components: tuple[ComponentCell, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The components' names, in the order of the composition."""
        return tuple(component.name for component in self.components)

    @property
    def parameters(self) -> dict[str, MethodParameters]:
        """The components' parameters by name."""
        return {component.name: component.parameters for component in self.components}


class TeacherRun(Section):
    """A training run of another cell, from whose network this one learns.

    Attributes:
        run: its folder below results/runs.
        weights: of its last epoch, or of the best on validation images.
        architecture: its network.
        augmentation: by name; so are ``method`` and ``seed``: what its record must say.
    """

    run: str
    weights: Weights
    architecture: ArchitectureCell
    augmentation: str
    method: str
    seed: Seed


class Cell(Section):
    """One training run: all that its result depends on beside code and data."""

    dataset: str
    architecture: ArchitectureCell
    augmentation: AugmentationCell
    method: MethodCell
    teachers: dict[str, TeacherRun]
    recipe: Recipe
    seed: Seed


def read_cell(given: str) -> Cell:
    """Return the cell that the option ``--cell`` gives: JSON, or ``@FILE``.

    Raises:
        EwsError: no such file, not JSON, or not a whole cell; one line for each key that is wrong.
    """
    if given.startswith("@"):
        where, content = given[1:], read_json(given[1:], remedy=REMEDY)
    else:
        where, content = "--cell", parse_json(given, name="--cell", remedy=REMEDY)
    try:
        # As JSON, where lists are tuples, too.
        return Cell.model_validate_json(json.dumps(content))
    except ValidationError as error:
        lines = [
            f"{where}: {'.'.join(map(str, problem['loc'])) or 'the cell'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise EwsError("\n".join([*lines, REMEDY])) from None


def _as_registered(registry: DescribedRegistry[Any], name: object, value: Any) -> Any:
    """Read parameters as the type that the registry has for a name; those that have it stay what they are."""
    if not isinstance(name, str) and not isinstance(value, dict):
        # Of a network, whose parameters name it themselves; the field's own type says the rest.
        return value
    try:
        entry: Described = registry.find(str(name))
    except EwsError as error:
        raise ValueError(str(error)) from None
    if isinstance(value, entry.parameters):
        return value
    return entry.parameters.model_validate(value)
