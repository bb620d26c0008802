"""Method names: components joined by `+` in the registry's order, such as `dropout` or `trades+awp+ews`."""

from ews.errors import EwsError, unknown
from ews.methods import REGISTRY

VANILLA = "vanilla"


def components(method: str, *, where: str = "") -> list[str]:
    """Split a method into its components; `vanilla`, plain training, has none.

    Args:
        method: the composition.
        where: key path for messages.

    Raises:
        EwsError: a component is unknown, stands twice or out of order.
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
    return parts
