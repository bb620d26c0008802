"""What is measured: a finished run's weights, checked against its record, and the test images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ews.data.dataset import Dataset
from ews.models.network import Network
from ews.pipeline.artifacts.finished import read_network


@dataclass(frozen=True, eq=False)
class Subject:
    """A run to measure.

    Attributes:
        run: its folder.
        record: the content of its record.json.
        dataset: the data it was trained on.
        test_images: size of the stratified test subset; None for all test images.
        device: where to compute.
        code: fingerprint of the evaluation's code.
        work: folder for finished parts of an evaluation (:mod:`ews.pipeline.evaluate.kept`); held by this
            process, and gone once the results are written.
    """

    run: Path
    record: dict[str, Any]
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

    def has(self, name: str) -> bool:
        """Say whether the run recorded a file of this name."""
        return name in self.record["files"]

    def network(self, name: str) -> Network:
        """Return the run's network with the weights of the file ``name``, in evaluation mode, on the device.

        Raises:
            EwsError: see :func:`ews.pipeline.artifacts.finished.read_network`.
        """
        return read_network(self.run, self.record, name, dataset=self.dataset, device=self.device)
