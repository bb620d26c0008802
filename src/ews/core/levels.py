"""How far a pixel may change, as people write it: a number in [0, 1], or grey levels as ``8/255``."""

import math
import re
from argparse import ArgumentTypeError

PATTERN = r"\d+(\.\d+)?/255"
"""Grey levels as text; a part of one is allowed, another range than 255 is not."""


def from_levels(text: str) -> float | None:
    """Return what grey levels are in [0, 1] units: 8 / 255 for ``8/255``; None for text of any other form."""
    return float(text.removesuffix("/255")) / 255 if re.fullmatch(PATTERN, text) else None


def level(text: str) -> float:
    """Read an option of a command line; whether the number suits the option is for the caller to check.

    Args:
        text: a finite number, or grey levels: ``0.03`` or ``8/255``.

    Raises:
        ArgumentTypeError: anything else; argparse puts the option's name before the message.
    """
    found = from_levels(text)
    if found is None:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
    if not math.isfinite(found):
        raise ArgumentTypeError(f"{text!r} is neither a number in [0, 1] nor grey levels such as 8/255")
    return found


def as_levels(value: float) -> str:
    """Write a distance in grey levels where it is a whole number of them: ``8/255``."""
    whole = round(255 * value)
    return f"{whole}/255" if abs(255 * value - whole) < 1e-9 else f"{value:g}"
