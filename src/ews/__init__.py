"""Train and measure robust image classifiers by enhancing weak subnets (EWS): the library's public names.

Each is imported when it is first used: ``import ews`` brings neither torch nor OpenCV.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ews.attacks.ensemble import autoattack
    from ews.attacks.pgd import pgd
    from ews.core.errors import EwsError
    from ews.corruptions import corrupt
    from ews.images.conversion import to_uint8
    from ews.perturbations import perturb
    from ews.pipeline.export import load

__all__ = ["EwsError", "autoattack", "corrupt", "load", "perturb", "pgd", "to_uint8"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    match name:
        case "autoattack":
            from ews.attacks.ensemble import autoattack as found
        case "corrupt":
            from ews.corruptions import corrupt as found  # type: ignore[assignment]
        case "EwsError":
            from ews.core.errors import EwsError as found  # type: ignore[assignment]
        case "load":
            from ews.pipeline.export import load as found  # type: ignore[assignment]
        case "perturb":
            from ews.perturbations import perturb as found  # type: ignore[assignment]
        case "pgd":
            from ews.attacks.pgd import pgd as found  # type: ignore[assignment]
        case "to_uint8":
            from ews.images.conversion import to_uint8 as found  # type: ignore[assignment]
        case _:
            raise AttributeError(f"module 'ews' has no attribute {name!r}; it has {', '.join(__all__)}")
    return found


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})
