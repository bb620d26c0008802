"""SAM, sharpness-aware minimisation (Foret et al., ICLR 2021): the gradient at the worst weights in a ball."""

from torch import Tensor

from ews.methods.sharpness import SharpnessAware


class Sam(SharpnessAware):
    """e = rho g / ||g||_2 over all parameters: T is the identity (see :class:`ews.methods.sharpness.SharpnessAware`).

    That is where the linear approximation of the loss has its maximum in the ball ||e||_2 <= rho. The gradient is taken
    at w + e as if e were constant: second derivatives are left out, as in the paper. e, rho and M are those of the code
    of DAMP's authors, who compare with it; chosen: what :class:`SharpnessAware` marks so.
    """

    name = "sam"

    def scales(self) -> list[Tensor | None]:
        """Return no scales: all weights count alike."""
        return [None] * len(self.weights)
