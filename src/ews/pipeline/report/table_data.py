"""What a table says, before any layout: per row and metric the mean, the spread, the comparison and the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ews.core.errors import EwsError
from ews.pipeline.evaluate.adversarial.adversarial_scores import AUTOATTACK
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.report.measurements import Measurement, complete
from ews.pipeline.report.metric_names import HIGHER, NEUTRAL, SELECTED, published
from ews.pipeline.report.reported import Number, Reported
from ews.pipeline.report.statistics import Paired, deviation, mean, paired
from ews.pipeline.report.study_rows import Label, Manifest
from ews.pipeline.study.methods import VANILLA


@dataclass(frozen=True)
class Value:
    """One row's number for one metric.

    Attributes:
        mean, deviation: over seeds, percent; the sample standard deviation is None with one seed.
        by_seed: the values behind it.
        n: test images behind each of them, None where not recorded or not alike.
        change: the mean less that of the row that this one is compared with; None for that row itself or without one.
        paired: the same over common seeds, with its interval.
        reported: the paper's number.
    """

    mean: float
    deviation: float | None
    by_seed: Mapping[int, float]
    n: int | None
    change: float | None
    paired: Paired | None
    reported: Number | None


@dataclass(frozen=True)
class Results:
    """A study's numbers by row and metric.

    Attributes:
        labels: the rows, in the manifest's order.
        values: by row, then by metric; without those that a row has not of every seed.
        headline: the metrics of the main table. Where every row was attacked with the weights that validation images
            selected, too, those stand in it, and the last epoch's in ``last``.
        singles: by evaluation the metrics of single corruptions or perturbations, each in its order.
        options: by evaluation what was asked of all rows alike; of the first, where rows differ in what no metric here
            depends on.
        baselines: the row that each row is compared with, itself included; None without one.
        last: the last epoch's metrics that the selected weights' have taken the place of; most studies have none.
    """

    labels: list[Label]
    values: Mapping[Label, Mapping[str, Value]]
    headline: list[str]
    singles: Mapping[str, list[str]]
    options: Mapping[str, Options]
    baselines: Mapping[Label, Label | None]
    last: list[str] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """What rows are compared with, in a word or two: vanilla, or the method less its subnets."""
        found = {label.method.partition(",")[0] == VANILLA for label in self.baselines.values() if label is not None}
        names = [name for name, plain in ((VANILLA, True), ("the method without ews", False)) if plain in found]
        return " or ".join(names) or VANILLA

    @property
    def times(self) -> str:
        """What costs are multiples of, for the head of a column: ``× vanilla`` or ``× without ews``."""
        return f"× {self.reference.removeprefix('the method ')}"

    @property
    def metrics(self) -> list[str]:
        """Every metric of any row: the main ones, the others, then the single corruptions and perturbations."""
        names = dict.fromkeys(name for row in self.values.values() for name in row)
        single = [name for own in self.singles.values() for name in own]
        main = self.compared
        return [*main, *(name for name in names if name not in [*main, *single]), *single]

    @property
    def compared(self) -> list[str]:
        """The metrics whose rows are compared: the main table's and the last epoch's."""
        return [*self.headline, *self.last]

    @property
    def groups(self) -> list[tuple[str, str, str]]:
        """The groups of rows that are compared with each other, in order."""
        return list(dict.fromkeys(label.group for label in self.labels))


def build(manifest: Manifest, measured: Sequence[Measurement], reported: Reported) -> Results:
    """Summarise the measurements of a study.

    Raises:
        EwsError: a row lacks a metric of the main table, for some seed.
    """
    by_row: dict[Label, dict[str, list[Measurement]]] = {label: {} for label in manifest.labels}
    for one in complete(measured, manifest):
        by_row[one.label].setdefault(one.metric, []).append(one)
    main: list[str] = []
    singles, asked = {}, {}
    for kind in manifest.evaluations:
        scoring = EVALUATIONS[kind].scoring()
        # Of data sets with other constants than ImageNet's no row is normalised: then all stand with the plain mean.
        options = manifest.options(kind)
        fitting = [
            one for one in options if all(name in row for name in scoring.headline(one) for row in by_row.values())
        ]
        asked[kind] = (fitting or options)[0]
        main += scoring.headline(asked[kind])
        if own := list(scoring.singles(asked[kind])):
            singles[kind] = own
    for label, row in by_row.items():
        for metric in main:
            if metric not in row:
                raise EwsError(f"measurements.csv: {label} lacks {metric!r}. Run `ews report measure` again.")
    early = all(any(name.endswith(AUTOATTACK + SELECTED) for name in row) for row in by_row.values())
    last = [name for name in main if early and all(name + SELECTED in row for row in by_row.values())]
    main = [name + SELECTED if name in last else name for name in main]
    baselines = {label: manifest.baseline(label) for label in by_row}
    values = {
        label: {
            metric: _value(
                ones,
                baseline=_others(by_row, baselines[label], metric, itself=label),
                reported=None if name is None else reported.find(manifest.of(label)[0].trained, name),
            )
            for metric, ones in row.items()
            for name in [published(metric, row)]
        }
        for label, row in by_row.items()
    }
    return Results(list(by_row), values, main, singles, asked, baselines, last)


def _others(
    by_row: Mapping[Label, Mapping[str, list[Measurement]]], baseline: Label | None, metric: str, *, itself: Label
) -> list[Measurement]:
    return [] if baseline is None or baseline == itself else by_row[baseline].get(metric, [])


def _value(own: list[Measurement], *, baseline: list[Measurement], reported: Number | None) -> Value:
    by_seed = {one.seed: one.value for one in own}
    other = {one.seed: one.value for one in baseline}
    centre = mean(list(by_seed.values()))
    images = {one.n for one in own}
    return Value(
        mean=centre,
        deviation=deviation(list(by_seed.values())),
        by_seed=by_seed,
        n=images.pop() if len(images) == 1 else None,
        change=centre - mean(list(other.values())) if other else None,
        paired=paired(by_seed, other) if other else None,
        reported=reported,
    )


def best(results: Results, metric: str, *, digits: int) -> set[Label]:
    """Return the rows that are printed in bold: the best mean of each group of rows that are compared.

    That is the lowest one, of an accuracy the highest.

    A group has none if it has a single row with this metric, or if another row prints alike with this
    many digits; nor has any of a metric that only describes.
    """
    winners: set[Label] = set()
    if metric.startswith(NEUTRAL):
        return winners
    for group in results.groups:
        means = {
            label: round(results.values[label][metric].mean, digits)
            for label in results.labels
            if label.group == group and metric in results.values[label]
        }
        goal = max if metric.startswith(HIGHER) else min
        first = [label for label, value in means.items() if value == goal(means.values())]
        if len(means) > 1 and len(first) == 1:
            winners |= set(first)
    return winners
