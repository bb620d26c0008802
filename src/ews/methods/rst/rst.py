"""RST, robust self-training (Carmon et al., NeurIPS 2019): batches with extra images that a network has labelled."""

from ews.methods.component import Context, Data
from ews.methods.rst.rst_spec import RstParameters


class Rst(Data):
    """A share of each batch comes from `data/<dataset>-extra/`; its pseudo-labels count as labels.

    How long an epoch is and how extra images are drawn says ``epoch`` (:func:`ews.methods.epoch_sizes.epoch_sizes`);
    by default as in the authors' code. Both kinds are mixed within a batch. No further change of the loss: any
    objective, or none, may stand beside it.
    """

    name = "rst"

    def __init__(self, context: Context, parameters: RstParameters) -> None:
        """Keep the parameters; nothing of the context is needed."""
        self.mixture = parameters
