"""The kinds of network, and the parts that make any of them depend on its input."""

from collections.abc import Callable
from typing import Any, TypeVar

from ews.core.registry import DescribedRegistry
from ews.models.architecture_specs import ArchitectureParameters, ArchitectureSpec, DynamicParameters, DynamicSpec
from ews.models.awnet.awnet_spec import SPEC as AWNET
from ews.models.cifar_resnet.cifar_resnet_spec import SPEC as CIFAR_RESNET
from ews.models.preact_resnet.preact_resnet_spec import SPEC as PREACT_RESNET
from ews.models.resnet.resnet_spec import SPEC as RESNET
from ews.models.wide_resnet.wide_resnet_spec import SPEC as WIDE_RESNET

P = TypeVar("P", bound=ArchitectureParameters)
D = TypeVar("D", bound=DynamicParameters)


class Architectures(DescribedRegistry[ArchitectureSpec[Any]]):
    """Kinds of network by name, or by the type of their parameters."""

    def of(self, parameters: P) -> ArchitectureSpec[P]:
        """Return the kind of network that takes parameters of this type.

        Raises:
            EwsError: none does.
        """
        return self.by_type(parameters)


class Dynamic(DescribedRegistry[DynamicSpec[Any]]):
    """Dynamic parts by name, or by the type of their parameters."""

    def of(self, parameters: D) -> DynamicSpec[D]:
        """Return the part that takes parameters of this type.

        Raises:
            EwsError: none does.
        """
        return self.by_type(parameters)


ARCHITECTURES = Architectures(
    "network",
    CIFAR_RESNET,
    RESNET,
    PREACT_RESNET,
    WIDE_RESNET,
)
DYNAMIC = Dynamic(
    "dynamic part",
    AWNET,
)


def uses(parameters: ArchitectureParameters, dynamic: DynamicParameters | None) -> list[Callable[[], object]]:
    """Return the functions that import what a network is built by, for :func:`ews.core.fingerprint.fingerprint`."""
    parts = [] if dynamic is None else [DYNAMIC.of(dynamic).implementation]
    return [ARCHITECTURES.of(parameters).implementation, *parts]
