"""The one exception for mistakes that a person can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


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
    close = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    place = f"{where}: " if where else ""
    return EwsError(f"{place}unknown {kind} {name!r}.{hint} Valid: {', '.join(names)}.")
