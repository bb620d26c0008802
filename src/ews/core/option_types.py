"""Types of options that several commands have: one rule and one message for each."""

import math
from collections.abc import Callable

from ews.core.errors import EwsError


def whole(option: str, *, least: int, meaning: str = "") -> Callable[[str], int]:
    """Return what reads an option's whole number.

    Args:
        option: as command lines spell it, for the message.
        least: the smallest valid number.
        meaning: of a number, added to the message, e.g. ``"0: no process beside this one"``.
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            remark = f" ({meaning})" if meaning else ""
            raise EwsError(f"{option} {text}: must be a whole number of at least {least}{remark}.")
        return number

    return read


WORKERS = whole("--workers", least=0, meaning="0: no process beside this one")
THREADS = whole("--threads", least=1)
JOBS = whole("--jobs", least=1)


def seconds(text: str) -> float:
    """Read ``--seconds``: a time of at least 0.

    Raises:
        EwsError: it is none.
    """
    number = _number(text)
    if not 0 <= number < math.inf:
        raise EwsError(f"--seconds {text}: must be a number of at least 0.")
    return number


def validation_share(text: str) -> float:
    """Read ``--validation``: a share in [0, 1).

    Raises:
        EwsError: it is none.
    """
    number = _number(text)
    if not 0 <= number < 1:
        raise EwsError(f"--validation {text}: must be a number of at least 0 and below 1; 0 is no validation images.")
    return number


def _number(text: str) -> float:
    """Return a number; of other text NaN, which no range has."""
    try:
        return float(text)
    except ValueError:
        return math.nan
