"""Parameters that SAM and ASAM share."""

from typing import Literal

from pydantic import Field

from ews.core.values import Count, Positive
from ews.methods.method_specs import MethodParameters

Statistics = Literal["batch", "part"]


class SharpnessParameters(MethodParameters):
    """A step along the gradient, for each part of the batch.

    ``statistics``: DAMP's authors have SAM and ASAM with ``sync_batch_norm: true`` on CIFAR-10 and -100, false on
    TinyImageNet and ImageNet.
    """

    rho: Positive = Field(description="Length of the step along the gradient.")
    sub_batches: Count = Field(
        default=8, description="Parts of a batch, each with its own step, M; 1: the whole batch."
    )
    statistics: Statistics = Field(
        default="batch",
        description="Normalise a part by the whole batch, as synchronised devices do, or by the part alone.",
    )


def least_part(parameters: SharpnessParameters) -> int:
    """Return the fewest images of a sub-batch: a single one has no spread of its own to normalise by."""
    return 2 if parameters.statistics == "part" else 1
