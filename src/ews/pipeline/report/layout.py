"""From numbers to grids of text, alike for every format: the paper's layout, per corruption, and the comparison."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ews.pipeline.evaluate.corruption.corruption_scores import PER_CORRUPTION
from ews.pipeline.evaluate.perturbation.perturbation_scores import PER_PERTURBATION, PER_RATE
from ews.pipeline.report import attack_captions
from ews.pipeline.report.cost import Costs
from ews.pipeline.report.metric_names import column, short
from ews.pipeline.report.statistics import deviation, mean
from ews.pipeline.report.study_rows import AXES, Label, Manifest
from ews.pipeline.report.table_data import Results, best

DIGITS = 2
CORRUPTION_DIGITS = 1  # Fifteen columns have to fit on a page; the CSV has one digit more.
WIDEST = 3  # Groups of columns beyond this many become rows.
NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A cell's text in parts, unescaped: ``text ± spread (change)``, in bold or not, with a footnote's letter."""

    text: str
    spread: str = ""
    change: str = ""
    bold: bool = False
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column's name, and the name that it shares with its neighbours ("" for none)."""

    name: str
    group: str = ""


@dataclass(frozen=True)
class Row:
    """A row's names, from the outermost group to its own, and its cells."""

    heads: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """A table without a format. ``wide`` tables have many narrow columns."""

    name: str
    caption: str
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[tuple[str, str], ...] = ()
    wide: bool = False


def fixed(value: float, digits: int = DIGITS) -> str:
    """Round to a number of decimals; a typographic minus, and never minus zero."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def signed(value: float, digits: int = DIGITS) -> str:
    """Round like :func:`fixed`, with a plus before positive numbers."""
    text = fixed(value, digits)
    return text if text.startswith("−") or float(text) == 0 else f"+{text}"


def method_name(method: str) -> str:
    """Write a method as in running text: a space after each comma."""
    return ", ".join(part.strip() for part in method.split(","))


def axes(manifest: Manifest) -> tuple[list[str], list[str]]:
    """Return the axes that become rows and those that become groups of columns.

    Augmentation and method are rows, as in the paper; dataset and architecture appear if they have
    more than one value, as columns while there are at most :data:`WIDEST`. The manifest's ``rows``
    decides otherwise.
    """
    many = [axis for axis in AXES if len({label.value(axis) for label in manifest.labels}) > 1]
    shown = [axis for axis in AXES if axis in many or axis in ("augmentation", "method")]
    if manifest.rows is not None:
        return [axis for axis in shown if axis in manifest.rows], [axis for axis in many if axis not in manifest.rows]
    columns: list[str] = []
    for axis in ("dataset", "architecture"):
        if axis in many and len(set(keys(manifest.labels, [*columns, axis]))) <= WIDEST:
            columns.append(axis)
    return [axis for axis in shown if axis not in columns], columns


def main_grid(manifest: Manifest, results: Results, *, caption: str, costs: Costs) -> Grid:
    """Lay out the study's main metrics as the paper does, with the paper's own numbers beside them, and the cost."""
    row_axes, column_axes = axes(manifest)
    bold = {metric: best(results, metric, digits=DIGITS) for metric in results.headline}
    notes: dict[str, str] = {}
    columns: list[Column] = []
    makers: list[tuple[tuple[str, ...], Callable[[Label], Cell]]] = []
    for key in keys(results.labels, column_axes):
        group = ", ".join(key)
        members = [label for label in results.labels if key_of(label, column_axes) == key]
        for metric in results.headline:
            columns.append(Column(f"{metric} (%)", group))
            makers.append((key, lambda label, metric=metric: _measured(results, label, metric, bold[metric])))  # type: ignore[misc]
            if any(results.values[label][metric].reported for label in members):
                columns.append(Column("paper", group))
                makers.append((key, lambda label, metric=metric: _reported(results, label, metric, notes)))  # type: ignore[misc]
        if shows_cost(results, costs):
            columns.append(Column(f"cost ({results.times})", group))
            makers.append((key, lambda label: _cost(results, costs, label)))
    rows = []
    for heads in ordered_keys(results.labels, row_axes):
        cells = []
        for key, make in makers:
            place = (heads, key)
            at = [label for label in results.labels if (key_of(label, row_axes), key_of(label, column_axes)) == place]
            cells.append(make(at[0]) if at else Cell(NONE))
        rows.append(Row(printed(heads, row_axes), tuple(cells)))
    marks = tuple((letter, text) for text, letter in notes.items())
    return Grid("results", caption, tuple(row_axes), tuple(columns), tuple(rows), marks)


def last_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the last epoch's errors where the main table has the selected epoch's; None where it has the last's."""
    if not results.last:
        return None
    heads, bold = naming_axes(manifest), {metric: best(results, metric, digits=DIGITS) for metric in results.last}
    rows = []
    for key in ordered_keys(results.labels, heads):
        label = next(label for label in results.labels if key_of(label, heads) == key)
        cells = [_measured(results, label, metric, bold[metric]) for metric in results.last]
        rows.append(Row(printed(key, heads), tuple(cells)))
    columns = tuple(Column(f"{metric} (%)") for metric in results.last)
    caption = (
        "The same errors with the weights of the last epoch. Where these are worse, the training run has overfitted, "
        "which selecting an epoch hides."
    )
    return Grid("last", caption, tuple(heads), columns, tuple(rows))


def corruption_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the error per corruption, mean over severities and seeds; None if none was evaluated."""
    metrics = results.singles.get("corruption")
    if not metrics:
        return None
    columns = tuple(Column(short(metric.removeprefix(PER_CORRUPTION))) for metric in metrics)
    caption = (
        "Error in percent per corruption, mean over five severities and all seeds; "
        "in bold the lowest mean of each group of methods. The standard deviations are in table.csv."
    )
    heads, rows = _rows(manifest, results, metrics, digits=CORRUPTION_DIGITS)
    return Grid("corruptions", caption, heads, columns, rows, wide=True)


def perturbation_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the flips per perturbation, mean over seeds, as the paper's Table 3; None if none was evaluated."""
    metrics = results.singles.get("perturbation")
    if not metrics:
        return None
    rates = metrics[0].startswith(PER_RATE)
    prefix = PER_RATE if rates else PER_PERTURBATION
    columns = tuple(Column(short(metric.removeprefix(prefix))) for metric in metrics)
    what = "Flip rate, in percent of AlexNet's flip probability," if rates else "Flip probability in percent"
    caption = (
        f"{what} per perturbation, mean over all seeds: how often the prediction differs from that on the previous "
        "frame (noise: on the first); in bold the lowest mean of each group of methods. The standard deviations are in "
        "table.csv."
    )
    heads, rows = _rows(manifest, results, metrics, digits=CORRUPTION_DIGITS)
    return Grid("perturbations", caption, heads, columns, rows, wide=True)


def robust_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the weighted robust accuracies and what further evaluations found; None if there is nothing of it."""
    names = [name for own in attack_captions.further(results).values() for name in own]
    if not names:
        return None
    heads, rows = _rows(manifest, results, names, digits=DIGITS, spread=True)
    columns = tuple(Column(column(name)) for name in names)
    return Grid("robust", attack_captions.further_caption(results), heads, columns, rows)


def _rows(
    manifest: Manifest, results: Results, metrics: Sequence[str], *, digits: int, spread: bool = False
) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Return the axes that name rows, and every row of the study with the mean of each metric that it has."""
    heads = naming_axes(manifest)
    bold = {metric: best(results, metric, digits=digits) for metric in metrics}
    rows = []
    for key in ordered_keys(results.labels, heads):
        label = next(label for label in results.labels if key_of(label, heads) == key)
        cells = []
        for metric in metrics:
            value = results.values[label].get(metric)
            if value is None:
                cells.append(Cell(NONE))
                continue
            deviation = fixed(value.deviation, digits) if spread and value.deviation is not None else ""
            cells.append(Cell(fixed(value.mean, digits), spread=deviation, bold=label in bold[metric]))
        rows.append(Row(printed(key, heads), tuple(cells)))
    return tuple(heads), tuple(rows)


def _measured(results: Results, label: Label, metric: str, bold: set[Label]) -> Cell:
    value = results.values[label][metric]
    return Cell(
        text=fixed(value.mean),
        spread="" if value.deviation is None else fixed(value.deviation),
        change="" if value.change is None else signed(value.change),
        bold=label in bold,
    )


def _reported(results: Results, label: Label, metric: str, notes: dict[str, str]) -> Cell:
    """Return the paper's number; ``notes`` collects footnotes in the order in which they are met."""
    number = results.values[label][metric].reported
    if number is None:
        return Cell(NONE)
    if number.footnote:
        notes.setdefault(number.footnote, chr(ord("a") + len(notes)))
    return Cell(fixed(number.value), note=notes.get(number.footnote, ""))


def shows_cost(results: Results, costs: Costs) -> bool:
    """Tell whether the main table has a column for the cost: all rows have one, and some can be compared."""
    compared = [label for label in costs if costs[label].relative and results.baselines[label] != label]
    return set(costs) == set(results.labels) and bool(compared)


def _cost(results: Results, costs: Costs, label: Label) -> Cell:
    """Return how many times that of the row it is compared with a row's cost is; that row's is 1 and has no spread."""
    ratios = list(costs[label].relative.values())
    if not ratios:
        return Cell(NONE)
    spread = None if results.baselines[label] == label else deviation(ratios)
    return Cell(fixed(mean(ratios)), spread="" if spread is None else fixed(spread))


def naming_axes(manifest: Manifest) -> list[str]:
    """Return every axis that is needed to name a row."""
    rows, columns = axes(manifest)
    return [axis for axis in AXES if axis in rows or axis in columns]


def key_of(label: Label, names: Iterable[str]) -> tuple[str, ...]:
    """Return a row's values on some axes."""
    return tuple(label.value(axis) for axis in names)


def keys(labels: Iterable[Label], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the distinct values of rows on some axes, in the rows' order."""
    return list(dict.fromkeys(key_of(label, names) for label in labels))


def ordered_keys(labels: Sequence[Label], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the distinct keys sorted by when each axis's value first appears, so that groups stay together."""
    orders = [list(dict.fromkeys(label.value(axis) for label in labels)) for axis in names]
    return sorted(
        keys(labels, names), key=lambda key: [order.index(value) for order, value in zip(orders, key, strict=True)]
    )


def printed(key: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...]:
    """Return the values of axes as tables print them."""
    return tuple(method_name(value) if axis == "method" else value for axis, value in zip(names, key, strict=True))
