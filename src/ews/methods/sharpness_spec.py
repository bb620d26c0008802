"""Parameters that SAM and ASAM share."""

from pydantic import Field

from ews.core.values import Count, Positive
from ews.methods.method_specs import MethodParameters

LEAST_PART = 2
"""Images of a sub-batch: a single one has no spread to normalise by."""


class SharpnessParameters(MethodParameters):
    """A step along the gradient, for each part of the batch."""

    rho: Positive = Field(description="Length of the step along the gradient.")
    sub_batches: Count = Field(
        default=8, description="Parts of a batch, each with its own step, M; 1: the whole batch."
    )
