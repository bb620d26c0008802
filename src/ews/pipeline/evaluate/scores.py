"""From an evaluation's findings to the numbers of tables: what each kind says of its metrics, as pure functions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ews.pipeline.evaluate.evaluation_specs import Findings, Options

SELECTED = " (best)"
"""Ends the name of a metric of the weights that validation images selected."""

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Score:
    """An error (or accuracy) in percent, and on how many different images it was measured (None: not recorded)."""

    error: float
    n: int | None


@dataclass(frozen=True)
class Wrong:
    """How wrong one network is on each image.

    Attributes:
        share: float64 [n], percent of an image's copies that are misclassified.
        index: int64 [n], which test images.
        copies: of each.
    """

    share: NDArray[np.float64]
    index: NDArray[np.int64]
    copies: int


O = TypeVar("O", bound=Options)  # noqa: E741
F = TypeVar("F", bound=Findings)


@dataclass(frozen=True, kw_only=True)
class Scoring(Generic[O, F]):
    """What tables make of an evaluation.

    Attributes:
        scores: every metric of the findings, in the order of the measurements.
        headline: the metrics of the main table, for options that all rows have.
        singles: metrics of single corruptions and the like, for tables of their own; they stay out of metrics.json.
        further: beginnings of metrics that stand in the table of further metrics, in its order.
        explain: sentences that say what the metrics of :attr:`further` are: (options, images by metric as text, e.g.
            ``{"adaptive error": "1,000"}``, of those that the table shows).
        define: a sentence that says what a metric of :attr:`headline` is: (metric, options, images such as
            ``"1,000 test images"``).
        wrong: by metric which images the last epoch's weights get wrong, from the per-image arrays; raises KeyError,
            IndexError or ValueError where these lack something. Empty: no comparison image by image.
        compared: the metrics of :attr:`wrong`.
        notes: sentences for the caption on how networks were measured, where that depends on the findings.
        warnings: by weights, ``last`` and maybe ``best``, reasons to distrust the numbers.
    """

    scores: Callable[[F, O], Mapping[str, Score]]
    headline: Callable[[O], Sequence[str]]
    singles: Callable[[O], Sequence[str]] = lambda _: ()
    further: Sequence[str] = ()
    explain: Callable[[O, Mapping[str, str]], Sequence[str]] = lambda _, counts: ()
    define: Callable[[str, O, str], str]
    wrong: Callable[[Arrays, O], Mapping[str, Wrong]] | None = None
    compared: Callable[[O], Sequence[str]] = lambda _: ()
    notes: Callable[[F], Sequence[str]] = lambda _: ()
    warnings: Callable[[F], Mapping[str, list[str]]] | None = None


def summary(scores: Sequence[Score]) -> Score:
    """Return the plain mean of errors over the same images."""
    images = {score.n for score in scores}
    return Score(fmean(score.error for score in scores), images.pop() if len(images) == 1 else None)


def listing(values: Iterable[object]) -> str:
    """Join values by commas."""
    return ", ".join(map(str, values))
