"""Method names: components joined by `+` in the registry's order, such as `dropout` or `trades+awp+ews`."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from ews.core.errors import EwsError, unknown
from ews.methods.epoch_sizes import epoch_sizes, mixture_of
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters, MethodSpec

VANILLA = MethodSpec.VANILLA
STANDARD = MethodSpec.recipe
"""The recipe of methods none of whose components asks for another one."""

Spec = MethodSpec[Any]


@cache
def components(method: str, *, where: str = "") -> tuple[Spec, ...]:
    """Split a method into its components; `vanilla`, plain training, has none.

    Args:
        method: the composition.
        where: key path for messages.

    Raises:
        EwsError: a component is unknown, stands twice, out of order, beside what excludes it or without what it needs.
    """
    if method == VANILLA:
        return ()
    parts = method.split("+")
    if VANILLA in parts:
        raise EwsError(f"{where}: {method!r}: vanilla is training without components and stands alone.")
    for part in parts:
        if part not in METHODS:
            raise unknown("method", part, [VANILLA, *METHODS], where=where)
    ordered = [name for name in METHODS if name in parts]
    if parts != ordered:
        raise EwsError(f"{where}: write {method!r} as {'+'.join(ordered)!r}: each component once, in the fixed order.")
    specs = tuple(METHODS[part] for part in parts)
    objectives = [spec.name for spec in specs if spec.kind == "objective"]
    if len(objectives) > 1:
        both = " and ".join(objectives)
        raise EwsError(f"{where}: {method!r}: {both} are both objectives; a method has at most one.")
    moves = [spec.name for spec in specs if spec.moves_weights]
    if len(moves) > 1:
        raise EwsError(
            f"{where}: {method!r}: {' and '.join(moves)} each take the gradient at weights of their own, found from "
            "the unchanged ones; at which of them it would be taken is not defined. A method has at most one of "
            f"{', '.join(spec.name for spec in METHODS.values() if spec.moves_weights)}."
        )
    for spec in specs:
        _check_company(spec, parts, f"{where}: {method!r}")
    return specs


def _check_company(spec: Spec, parts: Sequence[str], where: str) -> None:
    """Refuse a component beside what excludes it, or without what it needs."""
    needed = spec.needs.others if spec.needs else tuple(spec.by_objective or ())
    if needed and not set(needed) & set(parts):
        reason = spec.needs.reason if spec.needs else "its parameters depend on it"
        raise EwsError(
            f"{where}: {spec.name} needs {' or '.join(needed)} beside it, as in {needed[0]}+{spec.name}: {reason}."
        )
    for other, reason in spec.excludes.items():
        if other in parts:
            raise EwsError(f"{where}: {spec.name} and {other} do not combine: {reason}.")


def check_values(method: str, parameters: dict[str, MethodParameters], *, where: str) -> None:
    """Refuse values that a component cannot have beside another one.

    Args:
        method: the composition.
        parameters: those of its components by name.
        where: for messages.

    Raises:
        EwsError: says why they do not go together.
    """
    for name in parameters:
        conflicts = METHODS[name].conflicts
        reason = conflicts(parameters) if conflicts else None
        if reason is not None:
            raise EwsError(f"{where}: {method!r} with {reason}.")


def check_sub_batches(
    parameters: dict[str, MethodParameters], batch_size: int, train_images: int | None, *, where: str
) -> None:
    """Refuse more sub-batches than a batch has images for.

    Args:
        parameters: those of a method's components by name.
        batch_size: images of a batch.
        train_images: labelled images that train, which may be fewer; None: not known here.
        where: key path of the recipe, for messages.

    Raises:
        EwsError: names both keys.
    """
    images, key = batch_size, "batch_size"
    if train_images is not None:
        sizes = epoch_sizes(train_images, batch_size, mixture_of(parameters.values()))
        images = sizes.labelled[0] + sizes.extra[0]
        key = "train_images" if images < batch_size else key
    for name, section in parameters.items():
        count = getattr(section, "sub_batches", 1)
        most = max(1, images // METHODS[name].least_part(section))
        if count > most:
            raise EwsError(
                f"{where}.{key} = {train_images if key == 'train_images' else batch_size}: methods.{name}.sub_batches "
                f"= {count} is too many for it; valid: 1 to {most}."
            )


def check_share(parameters: dict[str, MethodParameters], batch_size: int, *, where: str) -> None:
    """Refuse a share of extra images that leaves a batch without one of the two kinds.

    Args:
        parameters: those of a method's components by name.
        batch_size: images of a batch.
        where: key path of the recipe, for messages.

    Raises:
        EwsError: names both keys.
    """
    try:
        epoch_sizes(batch_size, batch_size, mixture_of(parameters.values()))
    except EwsError as error:
        raise EwsError(f"{where}.batch_size = {batch_size}: {error}") from None


def objective(specs: Sequence[Spec]) -> str | None:
    """Return the objective among a method's components; None: the augmentation's cross-entropy."""
    return next((spec.name for spec in specs if spec.kind == "objective"), None)


def recipe(specs: Sequence[Spec]) -> str:
    """Return the kind of training, a key below recipes.<dataset>, that a method's components ask for."""
    return next((spec.recipe for spec in specs if spec.recipe != STANDARD), STANDARD)
