"""What is measured: a finished run's weights, checked against its record, and the test images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ews.data.dataset import Dataset
from ews.models.network import Network
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network


@dataclass(frozen=True, eq=False)
class Subject:
    """A run to measure.

    Attributes:
        run: its files.
        dataset: the data it was trained on.
        test_images: size of the stratified test subset; None for all test images.
        device: where to compute.
        code: fingerprint of the evaluation's code.
        work: folder for finished parts of an evaluation (:mod:`ews.pipeline.evaluate.partial_results`); held by this
            process, and gone once the results are written.
    """

    run: FinishedRun
    dataset: Dataset
    test_images: int | None
    device: torch.device
    code: str
    work: Path

    @property
    def indices(self) -> np.ndarray:
        """Sorted int64 [n], which test images count."""
        return self.dataset.test_indices(self.test_images)

    @property
    def labels(self) -> np.ndarray:
        """Their labels, int64 [n]."""
        return np.asarray(self.dataset.test_labels[self.indices])

    @property
    def seed(self) -> int:
        """Of all that an evaluation draws: that of the training run."""
        return self.run.record.seed

    def network(self, name: str) -> Network:
        """Return the run's network with the weights of the file ``name``, in evaluation mode, on the device.

        Raises:
            EwsError: see :func:`ews.pipeline.artifacts.weights.read_network`.
        """
        return read_network(self.run, name, dataset=self.dataset, device=self.device)
