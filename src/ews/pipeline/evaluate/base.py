"""What an evaluation is: one signature for all, so that one command runs, checks and writes each of them."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        rows: results with the same keys in each, errors in percent; a CSV's rows, or one row for a JSON file.
        arrays: per-image results and what names their axes, none of them of objects.
        about: of a CSV, what was measured on what, written as JSON beside it; None: nothing.
    """

    rows: list[dict[str, Any]]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    about: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Evaluator:
    """An entry of the registry.

    Attributes:
        options: adds the evaluation's own options to its command line.
        evaluate: called with the :class:`ews.pipeline.evaluate.subject.Subject` and those options by name.
    """

    options: Callable[[ArgumentParser], None]
    evaluate: Callable[..., Evaluation]
