"""What robust self-training says about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ews.methods.method_specs import MethodParameters, MethodSpec

if TYPE_CHECKING:
    from ews.methods.component import Context
    from ews.methods.rst.rst import Rst


class RstParameters(MethodParameters):
    """How much of a batch is extra images."""

    share: float = Field(default=0.5, gt=0, lt=1, description="Share of a batch that is extra images.")


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
