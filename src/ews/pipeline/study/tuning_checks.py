"""What a study may tune: checked before anything is planned."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ews.core.errors import EwsError, unknown
from ews.pipeline.study.key_paths import check_path
from ews.pipeline.study.schema import Study, Tuning


def check_tuning(study: Study, tuning: Tuning, seeds: Sequence[int], *, where: str) -> None:
    """Check the seeds, the entries of the grid and that each has as many trials as the others.

    Args:
        study: that tunes.
        tuning: its section ``tune``.
        seeds: of the study's own rows.
        where: key path of the section, for messages.

    Raises:
        EwsError: says which key, what is valid and what to do.
    """
    if both := sorted(set(tuning.seeds) & set(seeds)):
        raise EwsError(
            f"{where}.seeds: {', '.join(map(str, both))} among the study's own seeds: rows would be judged on training "
            "runs that chose their values. Give others, such as 100 and 101."
        )
    if len(set(tuning.seeds)) < len(tuning.seeds):
        raise EwsError(f"{where}.seeds: a value stands twice in {tuning.seeds}.")
    for arm, grid in tuning.grid.items():
        _check_arm(arm, grid, study, where=where)
    if missing := [method for method in study.method if method not in tuning.grid]:
        raise EwsError(
            f"{where}.grid: has no values of {', '.join(missing)}: all methods are tuned alike. Give it some of its "
            "own or of its recipe, such as recipes.<dataset>.standard.weight_decay."
        )
    counts = {arm: prod(map(len, grid.values())) for arm, grid in tuning.grid.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{arm} {count}" for arm, count in counts.items())
        raise EwsError(
            f"{where}.grid: as many trials are due to each, and these have different numbers of combinations: {listed}."
        )


def _check_arm(arm: str, grid: Mapping[str, Sequence[Any]], study: Study, *, where: str) -> None:
    """Check an entry of the grid: a method, or a variant of one method alone."""
    if arm not in study.method and arm not in study.variants:
        valid = [*study.method, *(name for name, variant in study.variants.items() if len(variant.method or ()) == 1)]
        raise unknown("method or variant", arm, valid, where=f"{where}.grid")
    variant = study.variants.get(arm)
    if variant is not None and len(variant.method or ()) != 1:
        raise EwsError(
            f"{where}.grid: the variant {arm!r} is of several methods; give it `method: <one>`, or tune the methods."
        )
    if not grid:
        raise EwsError(f"{where}.grid.{arm}: no values to try. Give a key path and a list.")
    for path, values in grid.items():
        check_path(path, f"{where}.grid.{arm}")
        if path.startswith("evaluation."):
            raise EwsError(f"{where}.grid.{arm}: {path!r} changes no training run; give another key path.")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise EwsError(f"{where}.grid.{arm}.{path}: a value stands twice in {values}.")
        for key, taken in (("overrides", study.overrides), (f"variants.{arm}", variant.values if variant else {})):
            if path in taken:
                raise EwsError(
                    f"{where}.grid.{arm}: {path!r} stands under {key} too; give it in one of the two places."
                )
