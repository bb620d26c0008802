"""What a component of training methods says about itself, once: its parameters, its kind, what it goes together with.

Nothing here brings torch: params.yaml's schema, planning, rules, tables and documentation are derived from specs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from ews.attacks.effort import Effort
from ews.core.values import Name, Section, Seed

if TYPE_CHECKING:
    from ews.methods.component import Component, Context
    from ews.models.architecture_specs import DynamicParameters

Kind = Literal["modifier", "objective", "wrapper", "data", "extra"]


class MethodParameters(Section):
    """Base of every component's parameters, as its implementation takes them."""


class Teacher(Section):
    """A cell whose trained network another one learns from: of the same dataset, under the same overrides."""

    method: Annotated[str, Field(min_length=1)] = Field(description="Composition, e.g. at; it is trained first.")
    architecture: Name | None = Field(default=None, description="null: the student's.")
    augmentation: Name = Field(default="standard", description="Its training augmentation.")
    seed: Seed | None = Field(default=None, description="null: the student's.")
    weights: Literal["last", "best"] = Field(description="Of the last epoch, or of the best on validation images.")


@dataclass(frozen=True)
class Needs:
    """That a component only makes sense beside one of some others, and why."""

    others: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class TeacherRole:
    """A network that a component learns from.

    Attributes:
        role: e.g. ``"robust"``; a key of ``teachers`` in params.yaml and in the component's context.
        description: what it teaches.
        default: which cell plays the role where params.yaml does not say.
    """

    role: str
    description: str
    default: Teacher


P = TypeVar("P", bound=MethodParameters)


def nothing(parameters: MethodParameters) -> tuple[()]:
    """Return nothing: the parameters choose no further code."""
    return ()


def one_image(parameters: MethodParameters) -> int:
    """Return 1: a sub-batch may be a single image."""
    return 1


def no_stages(parameters: MethodParameters) -> int:
    """Return 0: the component compares no stages."""
    return 0


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Generic[P]):
    """A component of training methods.

    Attributes:
        name: as compositions spell it, lower-case letters and digits.
        summary: a line for tables of methods, with its source.
        kind: what it changes (:mod:`ews.methods.component`).
        parameters: their type; each field has a range, a description and a default.
        implementation: imports and returns what builds the component from its context and its parameters. The code
            fingerprint of a cell follows the imports in this function's body.
        chosen: of parameters, the functions that import what else runs because of them, e.g. a search strategy; the
            code fingerprint follows these too.
        by_objective: objectives for each of which params.yaml has values of its own (default: one set of values); maps
            each to the defaults.
        network: those parameters in params.yaml that change the network, not the training: the parameters of the part
            of the same name in :data:`ews.models.architecture_registry.DYNAMIC`; None: none.
        recipe: kind of training: the key below ``recipes.<dataset>``.
        needs: what it has to stand beside, if anything.
        excludes: components that it does not combine with, and why.
        moves_weights: whether it takes the gradient at weights of its own; a method has at most one such component.
        least_part: of parameters, images that each of its ``sub_batches`` must have.
        extra_data: whether batches take images from `data/<dataset>-extra/`.
        teachers: the networks that it learns from.
        attacks: the keys of its attacks' radius, step and number of steps: planning checks that they go together.
        logs: files that it writes into the run's folder beside epochs.csv.
        blocks: whether it works on the network's residual blocks; a kind of network of no stages has none.
        stages: of parameters, in how many of their last stages the network and its teachers are compared; 0: in none.
        conflicts: says in a sentence why its parameters do not go together with those of the method's other components
            (parameters by component); None where they do.
    """

    name: str
    summary: str
    kind: Kind
    parameters: type[P]
    implementation: Callable[[], Callable[[Context, P], Component]]
    chosen: Callable[[P], tuple[Callable[[], object], ...]] = nothing
    by_objective: Mapping[str, P] | None = None
    network: type[DynamicParameters] | None = None
    recipe: str = "standard"
    needs: Needs | None = None
    excludes: Mapping[str, str] = field(default_factory=dict)
    moves_weights: bool = False
    least_part: Callable[[P], int] = one_image
    extra_data: bool = False
    teachers: tuple[TeacherRole, ...] = ()
    attacks: tuple[Effort, ...] = ()
    logs: tuple[str, ...] = ()
    blocks: bool = False
    stages: Callable[[P], int] = no_stages
    conflicts: Callable[[Mapping[str, MethodParameters]], str | None] | None = None

    VANILLA: ClassVar[str] = "vanilla"
