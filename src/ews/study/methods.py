"""Method names: components joined by `+` in the registry's order, such as `dropout` or `trades+awp+ews`."""

from ews.errors import EwsError, unknown
from ews.methods import REGISTRY

VANILLA = "vanilla"
# At most one of these, and which components only make sense beside one of some others.
OBJECTIVES = ("at", "trades")
NEEDS = {"awp": OBJECTIVES}


def components(method: str, *, where: str = "") -> list[str]:
    """Split a method into its components; `vanilla`, plain training, has none.

    Args:
        method: the composition.
        where: key path for messages.

    Raises:
        EwsError: a component is unknown, stands twice, out of order, beside what excludes it or without what it needs.
    """
    if method == VANILLA:
        return []
    parts = method.split("+")
    if VANILLA in parts:
        raise EwsError(f"{where}: {method!r}: vanilla is training without components and stands alone.")
    for part in parts:
        if part not in REGISTRY:
            raise unknown("method", part, [VANILLA, *REGISTRY], where=where)
    ordered = sorted(set(parts), key=list(REGISTRY).index)
    if parts != ordered:
        raise EwsError(f"{where}: write {method!r} as {'+'.join(ordered)!r}: each component once, in the fixed order.")
    objectives = [part for part in parts if part in OBJECTIVES]
    if len(objectives) > 1:
        both = " and ".join(objectives)
        raise EwsError(f"{where}: {method!r}: {both} are both objectives; a method has at most one.")
    for part, needed in NEEDS.items():
        if part in parts and not set(needed) & set(parts):
            raise EwsError(
                f"{where}: {method!r}: {part} needs {' or '.join(needed)} beside it, as in {needed[0]}+{part}."
            )
    return parts


def objective(parts: list[str]) -> str | None:
    """Return which of :data:`OBJECTIVES` is among a method's components; None: the augmentation's cross-entropy."""
    return next((part for part in parts if part in OBJECTIVES), None)
