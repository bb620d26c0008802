"""Reading a file of images as all corruptions take them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ews.errors import EwsError

# Bytes of images per piece of work.
PIECE = 2**22


def open_images(path: Path) -> NDArray[np.uint8]:
    """Map a ``.npy`` file of images into memory, uint8 [N, H, W, 3] with N at least 1.

    Raises:
        EwsError: it cannot be read or holds something else.
    """
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EwsError(f"{path}: not a readable .npy file of images ({error}).") from None
    valid = isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3
    if not valid or not len(images):
        kind = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise EwsError(f"{path}: {kind}; valid is uint8 [N, H, W, 3] with N at least 1.")
    return images
