"""What robust self-training says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ews.methods.epoch_sizes import MixtureParameters
from ews.methods.method_specs import MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.rst.rst import Rst


class RstParameters(MixtureParameters):
    """How much of a batch is extra images, and how long an epoch is."""


def implementation() -> Callable[[Context, RstParameters], Rst]:
    """Return the component."""
    from ews.methods.rst.rst import Rst

    return Rst


SPEC = MethodSpec(
    name="rst",
    summary="Robust self-training (Carmon et al. 2019): extra, pseudo-labelled images in each batch",
    kind="data",
    extra_data=True,
    parameters=RstParameters,
    implementation=implementation,
)
