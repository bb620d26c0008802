"""RST, robust self-training (Carmon et al., NeurIPS 2019): batches with extra images that a network has labelled."""

from ews.core.errors import EwsError
from ews.methods.component import Context, Data


class Rst(Data):
    """A share of each batch comes from `data/<dataset>-extra/`; its pseudo-labels count as labels.

    An epoch is one pass over the labelled images, as in the authors' code; extra images are drawn without
    replacement within it, and both kinds are mixed within a batch. No further change of the loss: any objective,
    or none, may stand beside it.
    """

    name = "rst"

    def __init__(self, context: Context, *, share: float) -> None:
        """Keep the share.

        Args:
            context: unused.
            share: of extra images in a batch, in (0, 1).

        Raises:
            EwsError: share out of range.
        """
        if not 0 < share < 1:
            raise EwsError(f"method rst: share {share!r} is not in (0, 1).")
        self.share = share
