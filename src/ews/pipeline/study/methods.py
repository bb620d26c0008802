"""Method names: components joined by `+` in the registry's order, such as `dropout` or `trades+awp+ews`."""

from collections.abc import Mapping
from typing import Any

from ews.core.errors import EwsError, unknown
from ews.methods.registry import METHODS

VANILLA = "vanilla"
# At most one of these, and which components only make sense beside one of some others.
OBJECTIVES = ("at", "trades", "mixacm", "awnet")
NEEDS = {"awp": (("at", "trades", "awnet"), "its radius is chosen for losses on adversarial images")}
# Pairs that the mathematics does not allow, and why.
EXCLUDED = {
    ("awnet", "ews"): "a subnet is a slice of fixed weights, and AW-Net has other filters for every image",
}
# Each takes the gradient at weights that it finds from the clean ones.
MOVES = ("awp", "damp", "sam", "asam")
# Images that each sub-batch must have, where one is too few: each has batch statistics of its own.
LEAST_PART = {"sam": 2, "asam": 2}


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
        if part not in METHODS:
            raise unknown("method", part, [VANILLA, *METHODS], where=where)
    ordered = sorted(set(parts), key=list(METHODS).index)
    if parts != ordered:
        raise EwsError(f"{where}: write {method!r} as {'+'.join(ordered)!r}: each component once, in the fixed order.")
    objectives = [part for part in parts if part in OBJECTIVES]
    if len(objectives) > 1:
        both = " and ".join(objectives)
        raise EwsError(f"{where}: {method!r}: {both} are both objectives; a method has at most one.")
    moves = [part for part in parts if part in MOVES]
    if len(moves) > 1:
        raise EwsError(
            f"{where}: {method!r}: {' and '.join(moves)} each take the gradient at weights of their own, found from "
            "the unchanged ones; at which of them it would be taken is not defined. A method has at most one of "
            f"{', '.join(MOVES)}."
        )
    for part, (needed, reason) in NEEDS.items():
        if part in parts and not set(needed) & set(parts):
            others = " or ".join(needed)
            raise EwsError(f"{where}: {method!r}: {part} needs {others} beside it, as in {needed[0]}+{part}: {reason}.")
    for (first, second), reason in EXCLUDED.items():
        if first in parts and second in parts:
            raise EwsError(f"{where}: {method!r}: {first} and {second} do not combine: {reason}.")
    return parts


def check_values(method: str, sections: Mapping[str, Mapping[str, Any]], *, where: str) -> None:
    """Refuse values that a component cannot have beside another one.

    Args:
        method: the composition.
        sections: the parameters of its components by name.
        where: for messages.

    Raises:
        EwsError: says why they do not go together.
    """
    if "mixacm" in sections and sections.get("ews", {}).get("distillation") == "ce":
        raise EwsError(
            f"{where}: {method!r} with methods.ews.distillation = 'ce': a mixture of two images has no single label on "
            "which a subnet's cross-entropy could be taken. Use kl, which needs none."
        )


def check_sub_batches(sections: Mapping[str, Mapping[str, Any]], batch_size: int, *, where: str) -> None:
    """Refuse more sub-batches than a batch has images for.

    Args:
        sections: the parameters of a method's components by name.
        batch_size: images of a batch.
        where: key path of the recipe, for messages.

    Raises:
        EwsError: names both keys.
    """
    for name, section in sections.items():
        count = section.get("sub_batches", 1)
        most = max(1, batch_size // LEAST_PART.get(name, 1))
        if count > most:
            raise EwsError(
                f"{where}.batch_size = {batch_size}: methods.{name}.sub_batches = {count} is too many for it; "
                f"valid: 1 to {most}."
            )


def objective(parts: list[str]) -> str | None:
    """Return which of :data:`OBJECTIVES` is among a method's components; None: the augmentation's cross-entropy."""
    return next((part for part in parts if part in OBJECTIVES), None)
