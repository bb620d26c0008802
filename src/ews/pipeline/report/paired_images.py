"""`images.csv`: how far rows differ on other test images; a bootstrap of whole images, with all copies of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import bootstrap

from ews.core.errors import EwsError
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import reevaluate
from ews.pipeline.artifacts.tables import Row, read_rows
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.scores import Score, Wrong
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measure import evaluated
from ews.pipeline.report.statistics import LEVEL, Paired
from ews.pipeline.report.study_rows import AXES, Entry, Label, Manifest

RESAMPLES = 9999
COLUMNS = (*AXES, "reference", "metric", "difference", "low", "high", "images", "copies", "seeds")
REMAKE = "Make it again with `ews report measure ... --images ...`."


class Line(Row):
    """A line of images.csv: the row, the method that it is compared with, and by how much it differs."""

    dataset: str
    architecture: str
    augmentation: str
    method: str
    reference: str
    metric: str
    difference: float
    low: float
    high: float
    images: Annotated[int, Field(ge=1)]
    copies: Annotated[int, Field(ge=1)]
    seeds: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Difference:
    """A row less the one that it is compared with, percentage points.

    Attributes:
        label, reference: the two rows.
        metric: see :mod:`ews.pipeline.report.metric_names`; of the last epoch's weights, whose predictions are kept.
        mean: over images and common seeds.
        low, high: ends of the 95 % interval; alike where all images differ by the same.
        images, copies, seeds: source images, copies of each that were classified, common seeds.
    """

    label: Label
    reference: Label
    metric: str
    mean: float
    low: float
    high: float
    images: int
    copies: int
    seeds: int

    @property
    def paired(self) -> Paired:
        """The same as the comparison over seeds has it."""
        return Paired(self.mean, self.low, self.high, self.seeds)


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over images, which are drawn again with replacement.

    Args:
        differences: float64 [n], one for each source image: the mean over its copies and the seeds. The copies of an
            image are not independent of one another; as one number they are drawn together (cluster bootstrap; Davison
            and Hinkley 1997, section 3.8). Always the same draws: :data:`RESAMPLES` of them.
    """
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=100,  # of the size of memory, not of the result
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def compare(manifest: Manifest, *, inputs: Inputs) -> list[Difference]:
    """Compare every row of a study with those that :meth:`Manifest.references` names, over the seeds that both have.

    Raises:
        EwsError: predictions are missing, damaged or not those of the measured errors, or of different images.
    """
    rows: dict[Label, dict[int, dict[str, Wrong]]] = {}
    found = []
    for label in manifest.labels:
        for reference in manifest.references(label):
            for row in (label, reference):
                if row not in rows:
                    rows[row] = {entry.seed: wrong(entry, inputs=inputs) for entry in manifest.of(row)}
            own, other = rows[label], rows[reference]
            seeds = sorted(set(own) & set(other))
            for metric in own[seeds[0]] if seeds else ():
                pairs = [(own[seed][metric], other[seed][metric]) for seed in seeds]
                index, copies = pairs[0][0].index, pairs[0][0].copies
                if not all(np.array_equal(one.index, index) for pair in pairs for one in pair):
                    raise EwsError(
                        f"{label} and {reference}: {metric} was not measured on the same images with all seeds of "
                        "both. Delete the files of this evaluation of both rows and give the command again."
                    )
                mean = np.mean([first.share - second.share for first, second in pairs], axis=0)
                low, high = interval(mean)
                sizes = (len(mean), copies, len(seeds))
                found.append(Difference(label, reference, metric, float(mean.mean()), low, high, *sizes))
    return found


def wrong(entry: Entry, *, inputs: Inputs) -> dict[str, Wrong]:
    """Return by metric which images the last epoch's weights of a cell get wrong.

    Raises:
        EwsError: as :func:`compare`.
    """
    scores = evaluated(entry, inputs=inputs)
    found: dict[str, Wrong] = {}
    for asked in entry.asked:
        reader, result = EVALUATIONS[asked.kind].scoring().wrong, inputs.result(entry, asked.kind)
        if reader is None or result is None:
            continue
        path = inputs.place(entry, run_files.arrays(asked.kind))
        try:
            own = reader(inputs.arrays(entry, result), result.options)
        except (KeyError, IndexError, ValueError) as error:
            raise EwsError(f"{path}: lacks what a comparison by image needs ({error}). {reevaluate(path)}") from None
        for metric, value in own.items():
            _check(value, scores[metric], path, metric)
        found |= own
    return found


def differences_csv(found: Sequence[Difference]) -> str:
    """Return the content of images.csv, in full precision."""
    rows = [
        (
            *(one.label.value(axis) for axis in AXES),
            *(one.reference.method, one.metric, one.mean, one.low, one.high, one.images, one.copies, one.seeds),
        )
        for one in found
    ]
    return str(pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False, lineterminator="\n"))


def read(path: Path, manifest: Manifest) -> list[Difference]:
    """Read the differences of a study.

    Raises:
        EwsError: missing or damaged file, an impossible number, or not exactly the rows that the study compares.
    """
    found = []
    for number, row in enumerate(read_rows(path, Line, remedy=REMAKE), start=2):
        if row.low > row.high:
            raise EwsError(f"{path}: row {number}: an interval whose ends are exchanged. {REMAKE}")
        label = Label(
            dataset=row.dataset, architecture=row.architecture, augmentation=row.augmentation, method=row.method
        )
        sizes = (row.images, row.copies, row.seeds)
        reference = label.model_copy(update={"method": row.reference})
        found.append(Difference(label, reference, row.metric, row.difference, row.low, row.high, *sizes))
    metrics = [
        metric
        for kind in manifest.evaluations
        for metric in EVALUATIONS[kind].scoring().compared(manifest.options(kind)[0])
    ]
    planned = {(row, other) for row in manifest.labels for other in manifest.references(row)}
    compared = [(one.label, one.reference, one.metric) for one in found]
    if sorted(map(str, compared)) != sorted(str((*rows, metric)) for rows in planned for metric in metrics):
        raise EwsError(f"{path}: does not hold the comparisons of study {manifest.study!r}. {REMAKE}")
    return found


def _check(found: Wrong, score: Score, path: Path, metric: str) -> None:
    """Hold flags to the measured error: files of different evaluations would not agree."""
    where = f"{path}: {metric}"
    if found.share.shape != found.index.shape or not len(found.index) == len(np.unique(found.index)) == score.n:
        raise EwsError(f"{where}: not {score.n} different images, as were measured. {reevaluate(path)}")
    if not abs(float(found.share.mean()) - score.error) <= 1e-6:
        raise EwsError(
            f"{where}: image by image {float(found.share.mean()):.4f} %, but {score.error:.4f} % was measured. "
            f"{reevaluate(path)}"
        )
