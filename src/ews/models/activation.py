"""What makes a network non-linear: ReLU, or a smooth function in its place."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ews.models.architecture_specs import ActivationKind

LINEAR_FROM = 20.0
"""Where beta x is above this, softplus is taken for x, from which it differs by less than 2.1e-9 / beta."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each element.

    Attributes:
        kind: ``relu``; or ``softplus``, log(1 + exp(beta x)) / beta, which Pang et al. (ICLR 2021) found to help
            adversarial training.
        beta: of softplus; it nears ReLU as beta grows.
    """

    kind: ActivationKind
    beta: float

    def __call__(self, x: Tensor, *, inplace: bool = False) -> Tensor:
        """Return the activations in the form of x.

        Args:
            x: of any shape.
            inplace: x may be overwritten. ReLU does; softplus needs x for its gradient.
        """
        if self.kind == "relu":
            return F.relu(x, inplace=inplace)
        # Autocast computes it in single precision; what follows expects the form of what came.
        return F.softplus(x, self.beta, LINEAR_FROM).to(x.dtype)
