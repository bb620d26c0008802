"""The norms in which attacks measure a change, by name; without torch, since planning and tables ask."""

from typing import Literal, get_args

from pydantic import ValidationInfo

from ews.core.levels import as_levels

Norm = Literal["Linf", "L2"]
NORMS: tuple[str, ...] = get_args(Norm)
IN_WORDS: dict[Norm, str] = {"Linf": "the maximum norm", "L2": "the Euclidean (L2) norm"}


def of_norm(cls: type, value: float, info: ValidationInfo) -> float:
    """Return a radius or a step, as a field's validator below a field ``norm``.

    Raises:
        ValueError: above 1 in the maximum norm, in which it is a change of a pixel in [0, 1].
    """
    # Where the norm itself is wrong, that is the message.
    if info.data.get("norm") == "Linf" and value > 1:
        raise ValueError("should be less than or equal to 1 in the maximum norm, where it is a change of a pixel")
    return value


def spelled(value: float, norm: Norm) -> str:
    """Write a radius or a step: a pixel's change in grey levels where it is a whole number of them, else a number."""
    return as_levels(value) if norm == "Linf" else f"{value:g}"
