"""Reading a file of images as all corruptions take them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ews.core.arrays import read_npy
from ews.core.errors import EwsError

# Bytes of images per piece of work.
PIECE = 2**22


def open_images(path: Path) -> NDArray[np.uint8]:
    """Map a ``.npy`` file of images into memory, uint8 [N, H, W, 3] with N at least 1.

    Raises:
        EwsError: it cannot be read or holds something else.
    """
    images = read_npy(path, mapped=True)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise EwsError(f"{path}: {images.dtype} {images.shape}; valid is uint8 [N, H, W, 3] with N at least 1.")
    return images
