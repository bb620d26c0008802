"""ASAM, adaptive sharpness-aware minimisation (Kwon et al., ICML 2021): SAM in a ball that scales with the weights."""

from torch import Tensor

from ews.methods.asam.asam_spec import AsamParameters
from ews.methods.component import Context
from ews.methods.parts import kernels_and_scales
from ews.methods.sharpness import SharpnessAware


class Asam(SharpnessAware):
    """e = rho T^2 g / ||T g||_2, T = |w| on kernels and scales of normalisations, 1 on biases and shifts.

    That is where the linear approximation of the loss has its maximum in ||T^-1 e||_2 <= rho (see
    :class:`ews.methods.sharpness.SharpnessAware`). On kernels and scales it is a relative change: ASAM is the
    adversarial counterpart of DAMP's random multiplicative noise, on the same weights. eta, which ASAM's paper adds to
    |w|, is 0, as in every configuration of DAMP's authors; a weight that is zero then does not move. e, T, rho and M
    are those of their code; chosen: what :class:`ews.methods.sharpness.SharpnessAware` marks so.
    """

    name = "asam"

    def __init__(self, context: Context, parameters: AsamParameters) -> None:
        """See :class:`ews.methods.sharpness.SharpnessAware`."""
        super().__init__(context, parameters)
        self._relative = {id(weight) for weight in kernels_and_scales(context.network)}

    def scales(self) -> list[Tensor | None]:
        """Return |w| of kernels and scales."""
        return [weight.detach().abs() if id(weight) in self._relative else None for weight in self.weights]
