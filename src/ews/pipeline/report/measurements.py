"""`measurements.csv`: every measured number of a study, one a row, in full precision."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ews.core.errors import EwsError
from ews.pipeline.artifacts.tables import Row, read_rows
from ews.pipeline.report.study_rows import Label, Manifest

COLUMNS = (
    "study", "dataset", "architecture", "augmentation", "method", "seed", "metric", "value", "n", "reported",
)  # fmt: skip
REMAKE = "Make it again with `ews report measure ...`."


class Line(Row):
    """A line of measurements.csv."""

    study: str
    dataset: str
    architecture: str
    augmentation: str
    method: str
    seed: int
    metric: str
    value: float
    n: int | None = None
    reported: float | None = None


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        study: the study.
        label: the row of the table.
        seed: of the training run.
        metric: see :mod:`ews.pipeline.report.metric_names`.
        value: percent.
        n: different images that it was measured on; None where not recorded.
        reported: what the paper prints for this setting, percent, or None.
    """

    study: str
    label: Label
    seed: int
    metric: str
    value: float
    n: int | None
    reported: float | None = None


def complete(measured: Iterable[Measurement], manifest: Manifest) -> list[Measurement]:
    """Leave out the metrics of a row that not every seed has: a mean over the others would look like the row's."""
    ones = list(measured)
    seeds = {label: len(manifest.of(label)) for label in manifest.labels}
    counts = Counter((one.label, one.metric) for one in ones)
    return [one for one in ones if counts[one.label, one.metric] == seeds[one.label]]


def measurements_csv(measurements: Iterable[Measurement]) -> str:
    """Return the content of measurements.csv; numbers in the shortest form that reads back as the same float."""
    rows = [
        (
            *(one.study, one.label.dataset, one.label.architecture, one.label.augmentation, one.label.method),
            *(one.seed, one.metric, one.value, one.n, one.reported),
        )
        for one in measurements
    ]
    # Int64, since n may be missing and a float column would print 500 as 500.0.
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": "Int64", "reported": "Float64"})
    return str(frame.to_csv(index=False, lineterminator="\n"))


def read(path: Path, manifest: Manifest) -> list[Measurement]:
    """Read the measurements of a study.

    Raises:
        EwsError: missing or damaged file, a number that is not finite, or not the study's rows and seeds.
    """
    found = [
        Measurement(
            study=row.study,
            label=Label(
                dataset=row.dataset, architecture=row.architecture, augmentation=row.augmentation, method=row.method
            ),
            seed=row.seed,
            metric=row.metric,
            value=row.value,
            n=row.n,
            reported=row.reported,
        )
        for row in read_rows(path, Line, remedy=REMAKE)
    ]
    planned = {(entry.label, entry.seed) for entry in manifest.entries}
    if {(one.label, one.seed) for one in found} != planned or {one.study for one in found} != {manifest.study}:
        raise EwsError(f"{path}: does not hold the rows and seeds of study {manifest.study!r}. {REMAKE}")
    return found
