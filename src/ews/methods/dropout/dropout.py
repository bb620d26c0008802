"""Channel dropout: the baseline that drops what EWS may drop, at random and without a search."""

from typing import Any

from torch import Tensor, nn

from ews.methods.component import Context, Modifier
from ews.methods.dropout.dropout_spec import DropoutParameters


class Dropout(Modifier):
    """Drop whole channels of the network during training (Tompson et al. 2015).

    The paper compares with "Dropout" and says neither where nor how much. Choice: the channels that
    EWS may drop (``place="hidden"``), at rate 1 - rho = 0.3. Kept channels are scaled by
    1 / (1 - rate). Off in evaluation mode and in subnet passes. Draws come from torch's global
    generator, which the training loop seeds per epoch from (seed, epoch).
    """

    name = "dropout"

    def __init__(self, context: Context, parameters: DropoutParameters) -> None:
        """Change the network of the context."""
        rate = parameters.rate
        if parameters.place == "hidden":
            context.network.set_hidden_dropout(rate)
            return

        def drop(block: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
            # A block's second argument is a subnet's choice, None in full passes.
            full = len(arguments) < 2 or arguments[1] is None
            return nn.functional.dropout2d(output, rate, training=True) if full and block.training else None

        for block in context.network.blocks:
            block.register_forward_hook(drop)
