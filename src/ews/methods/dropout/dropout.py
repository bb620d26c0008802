"""Channel dropout: the baseline that drops what EWS may drop, at random and without a search."""

from typing import Any

from torch import Tensor, nn

from ews.core.errors import EwsError, unknown
from ews.methods.component import Context, Modifier

PLACES = ("hidden", "block")


class Dropout(Modifier):
    """Drop whole channels of the network during training (Tompson et al. 2015).

    The paper compares with "Dropout" and says neither where nor how much. Choice: the channels that
    EWS may drop (``place="hidden"``), at rate 1 - rho = 0.3. Kept channels are scaled by
    1 / (1 - rate). Off in evaluation mode and in subnet passes. Draws come from torch's global
    generator, which the training loop seeds per epoch from (seed, epoch).
    """

    name = "dropout"

    def __init__(self, context: Context, *, rate: float, place: str) -> None:
        """Change the network.

        Args:
            context: holds the network.
            rate: probability that a channel of an example is zeroed, in [0, 1).
            place: ``"hidden"``: the channels that EWS may drop; ``"block"``: each block's output.

        Raises:
            EwsError: rate out of range or unknown place.
        """
        if place not in PLACES:
            raise unknown("place", place, PLACES, where="method dropout")
        if not 0 <= rate < 1:
            raise EwsError(f"method dropout: rate {rate!r} is not in [0, 1).")
        if place == "hidden":
            context.network.set_hidden_dropout(rate)
            return

        def drop(block: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
            # A block's second argument is a subnet's choice, None in full passes.
            full = len(arguments) < 2 or arguments[1] is None
            return nn.functional.dropout2d(output, rate, training=True) if full and block.training else None

        for block in context.network.blocks:
            block.register_forward_hook(drop)
