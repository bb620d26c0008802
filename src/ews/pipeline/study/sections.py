"""The sections of params.yaml that components have: derived from what they say about themselves in the registries."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, Union

from pydantic import BeforeValidator, ConfigDict, Field, GetPydanticSchema, create_model

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.values import Count, Section
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters, MethodSpec, Teacher
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.architecture_specs import DynamicParameters
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.methods import STANDARD
from ews.pipeline.study.recipe_spec import Recipe

S = TypeVar("S", bound=Section)
Fields = dict[str, Any]


def _without_dots(name: Any) -> Any:
    """Refuse a name with dots, by which no key path could lead to the recipe's keys."""
    if isinstance(name, str) and "." in name:
        raise ValueError(
            "a recipe's name has no dots, which part key paths; valid: lower-case letters, digits, - and _, up to 60"
        )
    return name


RecipeName = Annotated[str, BeforeValidator(_without_dots), Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]


class Sections(Section):
    """Sections by name, of which classes below have a field for each entry of a registry."""

    def of(self, name: str) -> Section:
        """Return the section of a name."""
        section: Section = getattr(self, name)
        return section

    def get(self, name: str) -> Section | None:
        """Return the section of a name, or None if there is none: also of one called like a method of this class."""
        section: Section | None = dict(self).get(name)
        return section


class Measuring(Sections):
    """How trained networks are measured."""

    test_images: Count | None = Field(default=None, description="Stratified subset of the test images; null: all.")


class Recipes(Sections):
    """Recipes of one dataset: by kind of training, which classes below have fields for, and any others by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[RecipeName, Recipe]

    @property
    def names(self) -> list[str]:
        """The recipes that there are."""
        return [name for name, recipe in self if recipe is not None]


def read_as(kind: Any) -> GetPydanticSchema:
    """Return what has a field validated, and described in the JSON Schema, as a type that only a registry knows."""
    return GetPydanticSchema(lambda _, handler: handler(kind))


def method_parameters(spec: MethodSpec[Any], section: Section, objective: str | None) -> MethodParameters:
    """Return a component's parameters, of its own type, from its section.

    Args:
        spec: the component.
        section: its section of ``methods``.
        objective: the objective that it stands beside, where its parameters depend on that.
    """
    found = getattr(section, objective or "") if spec.by_objective is not None else section
    parameters: MethodParameters = _part(found, spec.parameters)
    return parameters


def network_parameters(spec: MethodSpec[Any], section: Section) -> DynamicParameters | None:
    """Return those parameters of a component that change the network, from its section; mostly there are none."""
    return None if spec.network is None else _part(section, spec.network)


def teachers(spec: MethodSpec[Any], section: Section) -> dict[str, Teacher]:
    """Return the teachers that a component's section names, by their role; most name none."""
    return {role.role: getattr(getattr(section, "teachers"), role.role) for role in spec.teachers}  # noqa: B009


def _part(section: Section, kind: type[S]) -> S:
    """Return a section as one of the types that its own was joined from; its values are valid already."""
    if type(section) is kind:
        return section
    return kind.model_construct(**{name: getattr(section, name) for name in kind.model_fields})


def _named(spec: MethodSpec[Any], ending: str = "") -> str:
    return f"{spec.name.capitalize()}{ending}"


def _method_section(spec: MethodSpec[Any]) -> type[Section]:
    """Join a component's parameters, those of its network and its teachers; most have parameters alone."""
    fields: Fields = {}
    if spec.by_objective is not None:
        for objective, default in spec.by_objective.items():
            fields[objective] = (spec.parameters, Field(default=default, description=f"Beside {objective}."))
        return _model(_named(spec, "ByObjective"), spec.summary, fields, [Section])
    bases: list[type[Section]] = [spec.parameters]
    if spec.network is not None:
        bases.append(spec.network)
    if spec.teachers:
        roles: Fields = {
            role.role: (Teacher, Field(default=role.default, description=role.description)) for role in spec.teachers
        }
        model = _model(_named(spec, "Teachers"), "The cells that it learns from.", roles, [Section])
        fields["teachers"] = (model, Field(default=model(), description="The cells that it learns from."))
    return _model(_named(spec, "Section"), spec.summary, fields, bases) if len(bases) > 1 or fields else spec.parameters


def _model(name: str, summary: str, fields: Fields, bases: Sequence[type[S]]) -> type[S]:
    model: type[S] = create_model(name, __base__=tuple(bases), __doc__=summary, **fields)
    return model


def _optional(kind: type[Section], summary: str) -> Any:
    """Return a field that has the section's defaults where it is left out, if all of its keys have one."""
    required = any(field.is_required() for field in kind.model_fields.values())
    return (kind, Field(description=summary) if required else Field(default=kind(), description=summary))


def _recipes() -> dict[str, list[str]]:
    """Return the methods that ask for a recipe of their own, by its kind."""
    found: dict[str, list[str]] = {}
    for spec in METHODS.values():
        if spec.recipe != STANDARD:
            found.setdefault(spec.recipe, []).append(spec.name)
    return found


MethodSections = _model(
    "Methods",
    "Components of training methods; a method joins them by `+`; `vanilla` has none.",
    {spec.name: _optional(_method_section(spec), spec.summary) for spec in METHODS.values()},
    [Sections],
)
AugmentationSections = _model(
    "Augmentations",
    "Training augmentations; each begins with the dataset's crop and flip.",
    {spec.name: _optional(spec.parameters, spec.summary) for spec in AUGMENTATIONS.values()},
    [Sections],
)
EvaluationSections = _model(
    "Evaluation",
    "How trained networks are measured.",
    {spec.name: _optional(spec.section, spec.summary) for spec in EVALUATIONS.values() if spec.section.model_fields},
    [Measuring],
)
RecipeSections = _model(
    "Recipes",
    "Recipes of one dataset by kind of training; others by a name that studies give.",
    {
        STANDARD: (Recipe, Field(description="Training on clean or augmented images.")),
        **{
            kind: (Recipe | None, Field(default=None, description=f"Training with {' or '.join(names)}."))
            for kind, names in _recipes().items()
        },
    },
    [Recipes],
)
# `network` says which of them a network is.
Architecture = Union[tuple(spec.parameters for spec in ARCHITECTURES.values())]  # type: ignore[valid-type] # noqa: UP007
