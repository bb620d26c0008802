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
    place = f"{where}: " if where else ""
    return EwsError(f"{place}unknown {kind} {name!r}.{did_you_mean(name, names)} Valid: {', '.join(names)}.")


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return a question that names the closest of the valid names, after a space; nothing where none is close."""
    close = get_close_matches(str(name), list(valid), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
