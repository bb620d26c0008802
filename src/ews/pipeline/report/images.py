"""`images.csv`: how far rows differ on other test images; a bootstrap of whole images, with all copies of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap

from ews.core.arrays import read_npz
from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.pipeline.report.inputs import REEVALUATE, Score, number, read_rows
from ews.pipeline.report.manifest import AXES, Entry, Label, Manifest
from ews.pipeline.report.measure import evaluated
from ews.pipeline.report.metrics import AUTOATTACK, CLEAN, averaged, pgd
from ews.pipeline.report.statistics import LEVEL, Paired

RESAMPLES = 9999
COLUMNS = (*AXES, "reference", "metric", "difference", "low", "high", "images", "copies", "seeds")
REMAKE = "Make it again with `ews report measure ... --images ...`."
Arrays = Mapping[str, NDArray[np.generic]]


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


@dataclass(frozen=True)
class Difference:
    """A row less the one that it is compared with, percentage points.

    Attributes:
        label, reference: the two rows.
        metric: see :mod:`ews.pipeline.report.metrics`; always of the last epoch's weights, whose predictions are kept.
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


def compare(manifest: Manifest, *, runs: Path) -> list[Difference]:
    """Compare every row of a study with those that :meth:`Manifest.references` names, over the seeds that both have.

    Raises:
        EwsError: predictions are missing, damaged or not those of the measured errors, or of different images.
    """
    kept: dict[Label, dict[int, dict[str, Wrong]]] = {}
    found = []
    for label in manifest.labels:
        for reference in manifest.references(label):
            for row in (label, reference):
                if row not in kept:
                    kept[row] = {entry.seed: wrong(manifest, entry, runs=runs) for entry in manifest.of(row)}
            own, other = kept[label], kept[reference]
            seeds = sorted(set(own) & set(other))
            for metric in own[seeds[0]] if seeds else ():
                pairs = [(own[seed][metric], other[seed][metric]) for seed in seeds]
                index, copies = pairs[0][0].index, pairs[0][0].copies
                if not all(np.array_equal(one.index, index) for pair in pairs for one in pair):
                    raise EwsError(
                        f"{label} and {reference}: {metric} was not measured on the same images with all seeds of "
                        f"both. {REEVALUATE}"
                    )
                mean = np.mean([first.share - second.share for first, second in pairs], axis=0)
                low, high = interval(mean)
                sizes = (len(mean), copies, len(seeds))
                found.append(Difference(label, reference, metric, float(mean.mean()), low, high, *sizes))
    return found


def wrong(manifest: Manifest, entry: Entry, *, runs: Path) -> dict[str, Wrong]:
    """Return by metric which images the last epoch's weights of a cell get wrong.

    Raises:
        EwsError: as :func:`compare`.
    """
    scores = evaluated(manifest, entry, runs=runs)
    readers: dict[str, Callable[[Arrays], dict[str, Wrong]]] = {
        "clean": _clean,
        "corruption": lambda arrays: _corrupted(arrays, manifest.corruptions),
        "adversarial": lambda arrays: _attacked(arrays, (manifest.adversarial or {})["steps"]),
    }
    found: dict[str, Wrong] = {}
    for kind, reader in readers.items():
        if kind not in manifest.evaluations:
            continue
        path = entry.results_folder(runs) / f"{kind}.npz"
        try:
            own = reader(read_npz(path))
        except (KeyError, IndexError, ValueError) as error:
            raise EwsError(f"{path}: lacks what a comparison by image needs ({error}). {REEVALUATE}") from None
        for metric, value in own.items():
            _check(value, scores[metric], f"{path}: {metric}")
        found |= own
    return found


def write(path: Path, found: list[Difference]) -> None:
    """Write the differences, atomically, in full precision."""
    rows = [
        (
            *(one.label.value(axis) for axis in AXES),
            *(one.reference.method, one.metric, one.mean, one.low, one.high, one.images, one.copies, one.seeds),
        )
        for one in found
    ]
    write_text(path, pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False, lineterminator="\n"))


def read(path: Path, manifest: Manifest) -> list[Difference]:
    """Read the differences of a study.

    Raises:
        EwsError: missing or damaged file, an impossible number, or not exactly the rows that the study compares.
    """
    found = []
    for place, row in enumerate(read_rows(path, remedy=REMAKE)):
        where = f"{path}: row {place + 2}"
        if tuple(row) != COLUMNS:
            raise EwsError(f"{path}: the columns are {', '.join(row)}; they must be {', '.join(COLUMNS)}. {REMAKE}")
        label = Label(*(row[axis] for axis in AXES))
        values = {name: number(row, name, where=where, remedy=REMAKE) for name in COLUMNS[6:]}
        counts = [values[name] for name in ("images", "copies", "seeds")]
        if not values["low"] <= values["high"] or any(count < 1 or count != int(count) for count in counts):
            raise EwsError(f"{where}: an interval whose ends are exchanged, or counts that are none. {REMAKE}")
        found.append(
            Difference(
                label,
                replace(label, method=row["reference"]),
                row["metric"],
                mean=values["difference"],
                low=values["low"],
                high=values["high"],
                images=int(values["images"]),
                copies=int(values["copies"]),
                seeds=int(values["seeds"]),
            )
        )
    metrics = [CLEAN] if "clean" in manifest.evaluations else []
    metrics += [averaged(manifest.corruptions)[0]] if "corruption" in manifest.evaluations else []
    metrics += [pgd(manifest.adversarial["steps"]), AUTOATTACK] if manifest.adversarial is not None else []
    planned = {(row, other) for row in manifest.labels for other in manifest.references(row)}
    compared = [(one.label, one.reference, one.metric) for one in found]
    if sorted(map(str, compared)) != sorted(str((*rows, metric)) for rows in planned for metric in metrics):
        raise EwsError(f"{path}: does not hold the comparisons of study {manifest.study!r}. {REMAKE}")
    return found


def _clean(arrays: Arrays) -> dict[str, Wrong]:
    flags = arrays["prediction"] != arrays["label"]
    return {CLEAN: Wrong(100.0 * flags, arrays["index"].astype(np.int64), 1)}


def _corrupted(arrays: Arrays, corruptions: tuple[str, ...]) -> dict[str, Wrong]:
    metric, members = averaged(corruptions)
    places = [list(arrays["names"]).index(name) for name in members]
    flags = arrays["prediction"][places] != arrays["label"]
    share = 100.0 * flags.mean(axis=(0, 1))
    return {metric: Wrong(share, arrays["index"].astype(np.int64), flags.shape[0] * flags.shape[1])}


def _attacked(arrays: Arrays, steps: int) -> dict[str, Wrong]:
    # An ensemble's flags are cumulative: what no attack up to this one has fooled.
    robust = {pgd(steps): ("pgd", arrays["pgd_robust"]), AUTOATTACK: ("autoattack", arrays["autoattack_robust"][-1])}
    return {
        metric: Wrong(100.0 * ~flags.astype(bool), arrays[f"{name}_index"].astype(np.int64), 1)
        for metric, (name, flags) in robust.items()
    }


def _check(found: Wrong, score: Score, where: str) -> None:
    """Hold flags to the measured error: files of different evaluations would not agree."""
    if found.share.shape != found.index.shape or not len(found.index) == len(np.unique(found.index)) == score.n:
        raise EwsError(f"{where}: not {score.n} different images, as were measured. {REEVALUATE}")
    if not abs(float(found.share.mean()) - score.error) <= 1e-6:
        raise EwsError(
            f"{where}: image by image {float(found.share.mean()):.4f} %, but {score.error:.4f} % was measured. "
            f"{REEVALUATE}"
        )
