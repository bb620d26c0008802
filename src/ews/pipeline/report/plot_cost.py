"""Error against what the whole training costs: what an hour of computing buys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ews.pipeline.report import captions, cost, plotting, training_logs
from ews.pipeline.report.cost import Costs
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.statistics import deviation, mean
from ews.pipeline.report.study_rows import Label, Manifest
from ews.pipeline.report.training_logs import Study
from ews.pipeline.study.cell import Cell

UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
FEWEST = 2  # rows that make a comparison
SPAN = 4.0  # a wider range of costs is drawn on a logarithmic axis
PANEL = 3.1  # inches
MANY = 3  # of a unit, before it is used
Times = Mapping[str, tuple[str, float] | None]
CLOCKS = {"processor": "processor", "wall": "device"}


@dataclass(frozen=True)
class Point:
    """A row: seconds of each training run, with those of the networks that it learned from, and errors by metric."""

    label: Label
    seconds: Sequence[float]
    errors: Mapping[str, Sequence[float]]


def trade(study: Study) -> Figure:
    """Draw each row's error against the cost of its training run, one panel per group of methods and main error.

    Cost: seconds of the median epoch times epochs, and the same of the networks that the run learned from. Mean
    +- sample standard deviation over seeds, both ways. A grey line steps down along the rows that no cheaper row
    undercuts. Rows whose cost is not known are named.
    """
    costs = cost.costs(study.manifest, training_logs.records(study))
    taught = {run: cost.epoch_seconds(record) for run, record in training_logs.teachers(study).items()}
    points = [point for label in study.results.labels if (point := _point(study, label, costs, taught)) is not None]
    missing = [str(label.method) for label in study.results.labels if label not in {point.label for point in points}]
    clocks = {costs[point.label].clock for point in points}
    if len(points) < FEWEST or len(clocks) > 1:
        return plotting.notice("Error and cost", "Fewer than two rows have a training cost on one kind of clock.")
    metrics = study.results.headline
    groups = [group for group in study.results.groups if any(point.label.group == group for point in points)]
    largest = max(mean(point.seconds) for point in points)
    unit, name = next((unit, name) for unit, name in UNITS if largest >= MANY * unit or unit == 1)
    machines = captions.listing(dict.fromkeys(filter(None, map(captions.machine, training_logs.records(study)))))
    figure = plotting.canvas(
        1.2 + 2.9 * len(groups),
        title=f"Error against the cost of the training run{_taught(study)}, mean ± standard deviation over seeds\n"
        f"trained on {machines or 'unknown machines'}; tested on {study.tested()}"
        + (f"\nnot shown, as their cost is not known: {captions.listing(dict.fromkeys(missing))}" if missing else ""),
        width=max(6.5, PANEL * len(metrics)),
    )
    style = plotting.styles(study.methods)
    grid = figure.subplots(len(groups), len(metrics), squeeze=False, sharex="row")
    for row, group in zip(grid, groups, strict=True):
        here = [point for point in points if point.label.group == group]
        for axes, metric in zip(row, metrics, strict=True):
            for point in here:
                _mark(axes, point, metric, style[point.label.method], unit)
            _front(axes, here, metric, unit)
            _scale(axes, [mean(point.seconds) / unit for point in here])
            axes.set_ylabel(f"{metric} (%)")
            axes.set_xlabel(f"{CLOCKS[next(iter(clocks))]} {name} of one training run")
        if len(groups) > 1:
            row[0].set_title(study.name(group), loc="left")
    shown = [method for method in study.methods if any(point.label.method == method for point in points)]
    plotting.legend(figure, plotting.lines({method: method_name(method) for method in shown}, style, markers=True))
    return figure


def _taught(study: Study) -> str:
    return ", teachers' training runs included" if any(entry.cell.teachers for entry in study.manifest.entries) else ""


def training_seconds(manifest: Manifest, label: Label, costs: Costs, taught: Times) -> list[float]:
    """Return what each of a row's training runs costs, by seed: its epochs, and those of the networks it learned from.

    Args:
        manifest: the study.
        label: the row.
        costs: of the rows.
        taught: clock and seconds of the median epoch of the teachers that are no rows, by run.

    Returns:
        seconds; empty where a cost is not known, or is on another clock than the row's.
    """
    cells = {**manifest.teachers, **{entry.run: entry.cell for entry in manifest.entries}}
    times = dict(taught)
    for entry in manifest.entries:
        own = costs.get(entry.label)
        times[entry.run] = (own.clock, own.seconds[entry.seed]) if own and entry.seed in own.seconds else None
    clock = costs[label].clock if label in costs else ""
    found = [_seconds(entry.run, cells, times, clock) for entry in manifest.of(label)]
    return [] if None in found else [seconds for seconds in found if seconds is not None]


def _seconds(run: str, cells: Mapping[str, Cell], times: Times, clock: str) -> float | None:
    time = times.get(run)
    if time is None or time[0] != clock:
        return None
    total = time[1] * cells[run].recipe.epochs
    # One network may play two roles, and is trained once.
    for teacher in {teacher.run for teacher in cells[run].teachers.values()}:
        seconds = _seconds(teacher, cells, times, clock)
        if seconds is None:
            return None
        total += seconds
    return float(total)


def _point(study: Study, label: Label, costs: Costs, taught: Times) -> Point | None:
    seconds = training_seconds(study.manifest, label, costs, taught)
    values = study.results.values[label]
    errors = {metric: list(values[metric].by_seed.values()) for metric in study.results.headline}
    return Point(label, seconds, errors) if seconds else None


def _mark(axes: Axes, point: Point, metric: str, style: plotting.Style, unit: float) -> None:
    errors, seconds = point.errors[metric], [value / unit for value in point.seconds]
    axes.errorbar(
        [mean(seconds)], [mean(errors)], xerr=[deviation(seconds) or 0.0], yerr=[deviation(errors) or 0.0],
        color=style.colour, marker=style.marker, markersize=5.5, linestyle="", elinewidth=1.1, capsize=2.5,
    )  # fmt: skip


def _front(axes: Axes, points: Sequence[Point], metric: str, unit: float) -> None:
    """Draw the least mean error that each cost buys."""
    ranked = sorted((mean(point.seconds) / unit, mean(point.errors[metric])) for point in points)
    front: list[tuple[float, float]] = []
    for seconds, error in ranked:
        if not front or error < front[-1][1]:
            front.append((seconds, error))
    ends = [*front, (ranked[-1][0], front[-1][1])]
    axes.plot(
        [x for x, _ in ends], [y for _, y in ends], color="#999999", linewidth=1.1, zorder=0, drawstyle="steps-post"
    )


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    if max(costs) / min(costs) < SPAN:
        axes.set_xlim(left=0)
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
