"""How far an attack's steps can go, from the parameters that describe it; without torch, since planning asks."""

import math
from dataclasses import dataclass

from pydantic import BaseModel

from ews.attacks.norms import Norm, spelled
from ews.core.errors import EwsError

ROUNDING = 1e-9
"""Four steps of 2/255 reach 8/255, whatever floating point makes of it."""


@dataclass(frozen=True)
class Effort:
    """Where a section has an attack's radius, its step and the number of steps: the keys.

    A start is anywhere in the ball, so that a corner of it can be 2 radii away; from the image itself, 1.
    """

    epsilon: str = "epsilon"
    step_size: str = "step_size"
    steps: str = "steps"

    def radii(self, section: BaseModel) -> float:
        """Return how many radii far all steps go together; infinity where the radius is 0."""
        radius = float(getattr(section, self.epsilon))
        reach = float(getattr(section, self.steps)) * float(getattr(section, self.step_size))
        return reach / radius if radius > 0 else math.inf

    def described(self, section: BaseModel) -> str:
        """Say in words how far all steps go together."""
        norm: Norm = getattr(section, "norm", "Linf")
        radius, step = (spelled(getattr(section, key), norm) for key in (self.epsilon, self.step_size))
        steps = getattr(section, self.steps)
        return (
            f"{self.steps} = {steps} times {self.step_size} = {step} is {self.radii(section):.3g} times "
            f"{self.epsilon} = {radius}"
        )

    def check(self, section: BaseModel, *, where: str) -> None:
        """Refuse an attack whose steps together are shorter than its radius.

        Args:
            section: has the three keys.
            where: what they stand below, for the message.

        Raises:
            EwsError: names the three keys.
        """
        if self.radii(section) < 1 - ROUNDING:
            raise EwsError(
                f"{where}: {self.described(section)}: the attack cannot reach its radius. Raise {self.steps} or "
                f"{self.step_size}; valid: a product of {self.epsilon} at least, usual: 2 to 3 times that."
            )
