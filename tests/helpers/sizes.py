"""How large subnets are, and how a policy over them is learned, for the tests of searches."""

from types import SimpleNamespace
from typing import Any


def size(width: float, rounding: str = "ceil", **policy: Any) -> Any:
    """Return what a search takes: width and rounding, and how its policy is learned, if it learns one."""
    return SimpleNamespace(width=width, rounding=rounding, **policy)
