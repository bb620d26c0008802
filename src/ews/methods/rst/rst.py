"""RST, robust self-training (Carmon et al., NeurIPS 2019): batches with extra images that a network has labelled."""

from ews.methods.component import Context, Data
from ews.methods.rst.rst_spec import RstParameters


class Rst(Data):
    """A share of each batch comes from `data/<dataset>-extra/`; its pseudo-labels count as labels.

    An epoch is one pass over the labelled images, as in the authors' code; extra images are drawn without
    replacement within it, and both kinds are mixed within a batch. No further change of the loss: any objective,
    or none, may stand beside it.
    """

    name = "rst"

    def __init__(self, context: Context, parameters: RstParameters) -> None:
        """Keep the share; nothing of the context is needed."""
        self.share = parameters.share
