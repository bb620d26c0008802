"""How far an attack's steps can go, from the parameters that describe it; without torch, since planning asks."""

import math
from dataclasses import dataclass

from pydantic import BaseModel


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
