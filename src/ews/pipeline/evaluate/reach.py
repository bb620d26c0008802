"""How far adversarial images go: held to the ball and to [0, 1] when an attack's images are read again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ews.attacks.ball import distances
from ews.attacks.norms import Norm
from ews.core.errors import EwsError

ROUNDING = 1e-6
"""By how much a change of a pixel may exceed the radius: float32 near 1 has steps of 6e-8."""


@dataclass
class Reach:
    """The largest distance, and the lowest and highest pixel, of the images seen so far."""

    norm: Norm = "Linf"
    rounding: float = ROUNDING
    distance: float = 0.0
    lowest: float = 1.0
    highest: float = 0.0

    def see(self, images: Tensor, clean: Tensor) -> None:
        """Take in adversarial images and the clean ones that they were made from, of one shape, on one device."""
        # NumPy's keep a NaN, which Python's max and min drop.
        self.distance = float(np.maximum(self.distance, float(distances(images, clean, self.norm).max())))
        if self.norm == "L2":
            # Each pixel is rounded by itself, so that these errors add up like random ones.
            self.rounding = ROUNDING * max(1.0, 0.1 * clean[0].numel() ** 0.5)
        self.lowest = float(np.minimum(self.lowest, float(images.min())))
        self.highest = float(np.maximum(self.highest, float(images.max())))

    def check_distance(self, epsilon: float, *, where: Path) -> None:
        """Refuse images outside the ball or outside [0, 1].

        Args:
            epsilon: radius of the ball.
            where: the folder of partial work, for the message.

        Raises:
            EwsError: the attack left its bounds, or a pixel is NaN.
        """
        # A comparison that NaN fails too.
        if not (self.distance <= epsilon + self.rounding and self.lowest >= 0 and self.highest <= 1):
            raise EwsError(
                f"{where}: adversarial images are up to {self.distance:.8f} away from the clean ones and reach from "
                f"{self.lowest:g} to {self.highest:g}; allowed are {epsilon:.8f} and [0, 1]. The attack is at fault: "
                "please report it."
            )
