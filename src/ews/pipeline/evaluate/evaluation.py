"""What an implementation of an evaluation is: a function from a run and typed options to findings and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ews.pipeline.evaluate.evaluation_specs import Findings, Options
from ews.pipeline.evaluate.subject import Subject

F = TypeVar("F", bound=Findings, covariant=True)
O_contra = TypeVar("O_contra", bound=Options, contravariant=True)


@dataclass(frozen=True)
class Evaluation(Generic[F]):
    """What came out.

    Attributes:
        findings: errors in percent, and what tells of them.
        arrays: per-image results and what names their axes, none of them of objects.
    """

    findings: F
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """Where images come from and how many processes make them: no result depends on these.

    Attributes:
        corrupted: folder of the stored corrupted sets, or files in it; none: they are made while they are measured.
        workers: processes that make images; 0 and 1: this one.
    """

    corrupted: Sequence[Path] = ()
    workers: int = 1


class Evaluate(Protocol[O_contra, F]):
    """Measures a run.

    Raises:
        EwsError: options outside their ranges, or images that are missing or damaged.
    """

    def __call__(self, subject: Subject, options: O_contra, making: Making) -> "Evaluation[F]":
        """Measure the subject with these options."""
        ...
