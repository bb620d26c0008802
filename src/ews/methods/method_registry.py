"""The components of training methods, in the order in which compositions name them, such as `trades+awp+ews`."""

from collections.abc import Callable
from typing import Any, TypeVar

from ews.core.registry import DescribedRegistry
from ews.methods.asam.asam_spec import SPEC as ASAM
from ews.methods.at.at_spec import SPEC as AT
from ews.methods.awnet.awnet_spec import SPEC as AWNET
from ews.methods.awp.awp_spec import SPEC as AWP
from ews.methods.damp.damp_spec import SPEC as DAMP
from ews.methods.dropout.dropout_spec import SPEC as DROPOUT
from ews.methods.ews.ews_spec import SPEC as EWS
from ews.methods.method_specs import MethodParameters, MethodSpec
from ews.methods.mixacm.mixacm_spec import SPEC as MIXACM
from ews.methods.rst.rst_spec import SPEC as RST
from ews.methods.sam.sam_spec import SPEC as SAM
from ews.methods.self_distillation.self_distillation_spec import SPEC as SELF_DISTILLATION
from ews.methods.trades.trades_spec import SPEC as TRADES

P = TypeVar("P", bound=MethodParameters)


class Methods(DescribedRegistry[MethodSpec[Any]]):
    """Components by name, or by the type of their parameters."""

    def of(self, parameters: P) -> MethodSpec[P]:
        """Return the component that takes parameters of this type.

        Raises:
            EwsError: none does.
        """
        return self.by_type(parameters)

    def uses(self, parameters: MethodParameters) -> list[Callable[[], object]]:
        """Return the functions that import what a component runs, for :func:`ews.core.fingerprint.fingerprint`."""
        spec = self.of(parameters)
        return [spec.implementation, *spec.chosen(parameters)]


METHODS = Methods(
    "method",
    DROPOUT,
    AT,
    TRADES,
    MIXACM,
    AWNET,
    AWP,
    DAMP,
    SAM,
    ASAM,
    RST,
    SELF_DISTILLATION,
    EWS,
)
