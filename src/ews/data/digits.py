"""The embedded default: scikit-learn's 1,797 handwritten digits as 32x32 RGB images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from ews.data.raw import Raw
from ews.data.split import stratified

SIDE = 32
LEVELS = 16  # the scans count the set pixels of a 4x4 block: 0 to 16
TEST_IMAGES = 500


def read(archive: Path | None = None) -> Raw:
    """Return 1,297 training and 500 test images, uint8 [N, 32, 32, 3].

    The 8x8 scans are scaled up bilinearly and their grey repeated in the three channels, so that
    the networks for CIFAR take them (choice). The source has no test set of its own: 500 images
    drawn by class with a fixed key are set apart (choice).

    Args:
        archive: not used; the images are part of scikit-learn.
    """
    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    images = np.stack([_enlarge(scan) for scan in bunch.images])
    test = stratified(labels, TEST_IMAGES, key="digits test set")
    train = np.setdiff1d(np.arange(len(labels)), test)
    return Raw(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        classes=tuple(str(name) for name in bunch.target_names),
    )


def _enlarge(scan: NDArray[np.float64]) -> NDArray[np.uint8]:
    grey = np.round(scan * (255 / LEVELS)).astype(np.uint8)
    large = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(large)[:, :, None], 3, axis=2)
