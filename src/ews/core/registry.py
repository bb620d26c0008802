"""Names to implementations: each registry maps a name to ``"module:attribute"``, imported when used.

A registry is a module-level dict called ``REGISTRY``. The code fingerprint
(:mod:`ews.core.fingerprint`) leaves that dict out and follows only the entries that a cell names, so
adding a method, or editing one, retrains no cell of another.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ews.core.errors import unknown


def lookup(registry: Mapping[str, str], name: str, *, kind: str) -> Any:
    """Import and return the object that ``name`` stands for.

    Raises:
        EwsError: the name is not registered; the message lists the valid ones.
    """
    if name not in registry:
        raise unknown(kind, name, registry)
    module, attribute = registry[name].split(":")
    return getattr(import_module(module), attribute)
