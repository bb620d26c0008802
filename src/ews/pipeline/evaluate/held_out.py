"""The validation images that evaluations measure on."""

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError
from ews.data.dataset import Dataset


def held_out(dataset: Dataset, count: int | None) -> NDArray[np.int64]:
    """Return sorted positions of validation images among the training images: all, or a stratified choice.

    Raises:
        EwsError: the dataset holds none, or fewer than ``count``.
    """
    indices = dataset.validation_indices(count)
    if len(indices) == 0:
        raise EwsError(
            f"{dataset.folder}: has no validation images. Set datasets.{dataset.name}.validation above 0 in "
            "params.yaml."
        )
    return indices
