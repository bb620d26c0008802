"""Every registered component as the smallest method that it can be."""

from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodSpec


def alone() -> list[str]:
    """Return `vanilla`, and each component with the first of those that it needs beside it, if any."""
    found = [MethodSpec.VANILLA]
    for name, spec in METHODS.items():
        needed = [spec.needs.others[0]] if spec.needs else list(spec.by_objective or ())[:1]
        found.append("+".join(part for part in METHODS if part in (name, *needed)))
    return found
