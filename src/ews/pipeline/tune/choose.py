"""Which of the values that were tried are chosen: the lowest mean validation error over the seeds."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from pydantic import JsonValue

from ews.pipeline.study.manifest import Choice
from ews.pipeline.study.resolve import Names
from ews.pipeline.study.schema import Tuning
from ews.pipeline.study.trials import Trial
from ews.pipeline.study.tuned import TrialResult


def choose(trials: Sequence[Trial], results: Sequence[TrialResult], tuning: Tuning) -> tuple[Choice, ...]:
    """Return what is chosen for each entry of the grid under each dataset, architecture and augmentation.

    Of values with the same error, those that stand first in the grid are chosen.

    Args:
        trials: of a study.
        results: what each of them found.
        tuning: the study's section ``tune``.
    """
    errors: dict[tuple[Names, str], list[tuple[dict[str, Any], list[float]]]] = {}
    for trial, result in zip(trials, results, strict=True):
        tried = errors.setdefault((trial.names, trial.arm), [])
        if not tried or tried[-1][0] != trial.values:
            tried.append((trial.values, []))
        tried[-1][1].append(result.clean_error if tuning.by == "clean" else result.corruption_error)
    chosen = []
    for (names, arm), tried in errors.items():
        values, found = min(tried, key=lambda one: fmean(one[1]))
        chosen.append(
            Choice(
                dataset=names[0],
                architecture=names[1],
                augmentation=names[2],
                arm=arm,
                values=values,
                error=fmean(found),
                at_edge=tuple(at_edge(values, tuning.grid[arm])),
            )
        )
    return tuple(chosen)


def at_edge(values: Mapping[str, JsonValue], grid: Mapping[str, Sequence[Any]]) -> Iterable[str]:
    """Yield the key paths whose value is the smallest or the largest of several numbers: better ones may lie beyond."""
    for path, value in values.items():
        numbers = [one for one in grid[path] if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) == len(grid[path]) > 1 and value in (min(numbers), max(numbers)):
            yield path
