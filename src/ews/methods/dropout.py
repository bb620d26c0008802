"""Channel dropout: the baseline that drops what EWS may drop, at random and without a search."""

from ews.methods.component import Context, Modifier


class Dropout(Modifier):
    """Drop whole channels of the network during training (Tompson et al. 2015).

    The paper compares with "Dropout" and does not say where or how much. Choice: the channels that
    EWS may drop (``place="hidden"``), at rate 1 - rho = 0.3. Kept channels are scaled by
    1 / (1 - rate). Off in evaluation mode and in subnet passes. Draws come from torch's global
    generator, which the training loop seeds per epoch from (seed, epoch).

    Args:
        context: the network to change.
        rate: probability that a channel of an example is zeroed, in [0, 1).
        place: ``"hidden"``: the channels that EWS may drop; ``"block"``: each block's output.
    """

    name = "dropout"

    def __init__(self, context: Context, *, rate: float, place: str) -> None:
        context.network.set_hidden_dropout(rate, place=place)
