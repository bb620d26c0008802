"""The one exception for mistakes that a person can mend."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 80
"""How many characters of a value stand in a message."""
LISTED = 30
"""How many valid names stand in a message."""


class EwsError(Exception):
    """What is wrong, where, the valid values and what to do, in one readable message."""


def unknown(kind: str, name: object, valid: Iterable[str], *, where: str = "") -> EwsError:
    """Build the error for a name that is not in a registry.

    Args:
        kind: what the name was meant to be, e.g. ``"method"``.
        name: the value that was given.
        valid: every accepted name.
        where: key path, cell or file in which the name stands.
    """
    names = sorted(valid)
    place = f"{where}: " if where else ""
    return EwsError(f"{place}unknown {kind} {shown(name)}.{did_you_mean(name, names)} Valid: {listed(names)}.")


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return `` Did you mean 'dropout'?`` where a valid name is close to the one that was given, else nothing."""
    close = get_close_matches(str(name)[:SHOWN], list(valid), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Return names as a message lists them: the first ones, and how many others there are."""
    every = list(names)
    more = f" and {len(every) - LISTED} others" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more


def shown(value: object) -> str:
    """Return a value as it is written, cut where it is long: whatever was given, a message stays one."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = 20
    short.maxstring = short.maxother = short.maxlong = SHOWN
    text = short.repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
