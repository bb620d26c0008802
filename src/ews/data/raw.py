"""What every reader returns, and the checks that every dataset has to pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError


@dataclass(frozen=True, eq=False)
class Raw:
    """A dataset as read from its source, before any validation split.

    Attributes:
        train_images: uint8 [N, H, W, 3], RGB.
        train_labels: int64 [N], positions in ``classes``.
        test_images: uint8 [M, H, W, 3], RGB.
        test_labels: int64 [M].
        classes: the classes' names.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def check_trainable(self, where: str) -> None:
        """Refuse what could not be trained on.

        Raises:
            EwsError: a shape or type is not as documented, images are not square or differ in size,
                a label is out of range, or a class has no training or no test image.
        """
        for split, images, labels in (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
                raise EwsError(
                    f"{where}: the {split} images are {images.dtype} {images.shape}, not uint8 [N, H, W, 3]."
                )
            if images.shape[1] != images.shape[2]:
                raise EwsError(
                    f"{where}: the {split} images are {images.shape[2]}x{images.shape[1]} pixels, not square. "
                    "Set image_size for this source in the manifest to scale and crop them."
                )
            if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
                raise EwsError(f"{where}: the {split} labels are {labels.dtype} {labels.shape}, not int64 [N].")
            present = np.unique(labels)
            if not np.array_equal(present, np.arange(len(self.classes))):
                raise EwsError(
                    f"{where}: the {split} labels have {len(present)} different values, {len(self.classes)} classes "
                    f"need 0 to {len(self.classes) - 1}, each at least once."
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise EwsError(
                f"{where}: training images are {self.train_images.shape[1:]}, test images {self.test_images.shape[1:]}."
            )
