"""What a kind of network says about itself, once; nothing here brings torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from ews.core.values import Positive, Section

if TYPE_CHECKING:
    import torch

    from ews.models.network import Head, Network


InitialWeights = Literal["torch", "he"]
ActivationKind = Literal["relu", "softplus"]
INIT = (
    "First weights of the convolutions: torch = uniform within 1 / sqrt(fan-in), torch's own; "
    "he = normal with variance 2 / fan-out."
)
ZERO_INIT = "The last normalisation's scale of each residual branch starts at zero, as in DAMP's code."


class ArchitectureParameters(Section):
    """Base of the parameters of every kind of network; ``network``, a Literal field, names the kind.

    What stands here is common to all. Sources: EWS's code for the initial weights, which a kind may have otherwise, and
    for the normalisation; Pang et al. (ICLR 2021) and their code for softplus and the default of its beta.

    Attributes:
        stages: at how many resolutions its blocks compute; 0: it has no residual blocks.
    """

    network: str
    stages: ClassVar[int]
    init: InitialWeights = Field(default="torch", description=INIT)
    activation: ActivationKind = Field(
        default="relu", description="What follows normalisations: relu; softplus = log(1 + exp(beta x)) / beta."
    )
    softplus_beta: Positive = Field(default=1.0, description="beta of softplus; it nears ReLU as beta grows.")
    normalise: bool = Field(
        default=True, description="Inputs are normalised by the training images' mean and standard deviation."
    )


class DynamicParameters(Section):
    """Base of the parameters of what makes any network depend on its input."""


P = TypeVar("P", bound=ArchitectureParameters)
D = TypeVar("D", bound=DynamicParameters)


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(Generic[P]):
    """A kind of network.

    Attributes:
        name: the value of ``network`` in params.yaml.
        summary: a line for tables of networks, with its source.
        parameters: their type; each field has a range and a description.
        implementation: imports and returns what builds the network from its parameters and its head (classes,
            normalisation, source of the weights). The code fingerprint of a cell follows the imports in this function's
            body.
    """

    name: str
    summary: str
    parameters: type[P]
    implementation: Callable[[], Callable[[P, Head], Network]]


@dataclass(frozen=True, kw_only=True)
class DynamicSpec(Generic[D]):
    """A part that makes any network's filters depend on its input.

    Attributes:
        name: as ``dynamic`` of a cell's architecture spells it.
        summary: a line for tables of networks, with its source.
        parameters: their type; each field has a range, a description and a default.
        implementation: imports and returns what changes a network in place, given its parameters and the source of its
            own weights (None: torch's global generator). What it adds is among the network's parameters and buffers
            afterwards. The code fingerprint of a cell follows the imports in this function's body.
    """

    name: str
    summary: str
    parameters: type[D]
    implementation: Callable[[], Callable[[Network, D, torch.Generator | None], None]]
