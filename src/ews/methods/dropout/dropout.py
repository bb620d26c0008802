"""Dropout: the baseline that drops at random what EWS drops by a search."""

from ews.methods.component import Context, Modifier
from ews.methods.dropout.dropout_spec import DropoutParameters


class Dropout(Modifier):
    """Drop activations of the network during training.

    Source of ``place="residual"``, the default: the authors' code, in which each residual block drops single elements
    of its branch's output (Srivastava et al. 2014) before it adds the shortcut: behind the last normalisation of a
    post-activation block, behind the last convolution of a pre-activation one. Its blocks of wide networks would drop
    before their second convolution, but no script gives them a rate; here they drop where all others do [choice].
    The rate is said nowhere: the scripts' option is 0 unless given, and no published command gives it. 0.3 is a choice.

    The other places drop whole channels (Tompson et al. 2015): ``hidden``, those that EWS may drop; ``block``, those of
    each block's output. Both are choices, ``hidden`` to tell EWS's search and distillation from dropping alone.

    Kept activations are scaled by 1 / (1 - rate). Off in evaluation mode and, as in that code, in subnets' passes. The
    draws come from torch's global generator, which the training loop seeds per epoch from (seed, epoch).
    """

    name = "dropout"

    def __init__(self, context: Context, parameters: DropoutParameters) -> None:
        """Change the network of the context."""
        context.network.set_dropout(parameters.rate, place=parameters.place)
