"""Error and training cost against the value of the parameter that a study sweeps."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from ews.pipeline.report import captions, cost, plotting, training_logs
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.statistics import deviation, interval, mean
from ews.pipeline.report.study_rows import Label
from ews.pipeline.report.sweeps import Line, Sweep, Value, find
from ews.pipeline.report.training_logs import Study
from ews.pipeline.study.naming import spell

BELOW = 0.16  # of a row: how far seeds stand below their mean
DECADE = 10.0  # a wider range of values than this is drawn on a logarithmic axis
MOST_TICKS = 9  # as many values as have room for a tick each
DODGE = 0.05  # of the values' range: how far the points of several lines are spread
ASIDE = 0.016  # of the same: how far seeds stand beside their mean
PANEL = 3.1  # inches that a panel needs for its ticks
CHARACTERS = 11.5  # of a title, an inch
NAMES = {
    "ews.interval": "training interval K (iterations)",
    "ews.weight": "weight λ of the distillation",
    "ews.width": "subnet width ρ",
    "ews.search": "search strategy",
}
# The value of a parameter that turns the method into vanilla.
VANILLA = {"ews.weight": "λ = 0"}


@dataclass(frozen=True)
class Panel:
    """One quantity: name with unit, a row's values over seeds (none: empty), and whether as multiples of vanilla's."""

    name: str
    values: Callable[[Label], Sequence[float]]
    relative: bool = False


@dataclass(frozen=True)
class Look:
    """How a line is drawn: its style, that of its reference, and its place among the others, -1/2 to 1/2."""

    style: plotting.Style
    reference: str
    offset: float


def sweep(study: Study) -> Figure:
    """Draw the main errors and the cost against the swept parameter, one row of panels per data set and network.

    A number: mean +- sample standard deviation over seeds against the value, vanilla as a dashed line with a
    band. Names: mean and 95 % t interval, vanilla first. Each seed is a dot.
    """
    found = find(study.manifest)
    if found is None:
        return plotting.notice("Sweep", "This study sweeps no parameter of a method.")
    records = training_logs.records(study)
    costs = cost.costs(study.manifest, records)
    panels = [
        Panel(f"{metric} (%)", lambda label, metric=metric: list(study.results.values[label][metric].by_seed.values()))  # type: ignore[misc]
        for metric in study.results.headline
    ]
    compared = any(costs[label].relative for line in found.lines for _, label in line.points if label in costs)
    if compared:
        panels.append(
            Panel(
                f"training cost ({study.results.times})",
                lambda label: list(costs[label].relative.values()) if label in costs else [],
                relative=True,
            )
        )
    places = list(dict.fromkeys(line.place for line in found.lines))
    looks = _looks(found)
    rows = 1 + len(found.values)
    height = 2.6 if found.numeric else 0.7 + 0.26 * rows * (1 if len(found.lines) == 1 else 1.4)
    spread = "mean ± standard deviation" if found.numeric else "mean and 95 % t interval"
    width = max(plotting.WIDTH, PANEL * len(panels)) if len(panels) > 1 else 6.5
    parts = [[f"{found.parameter}: {spread} over seeds,", f"each seed a dot ({study.tested()})"]]
    if compared:
        machines = captions.listing(dict.fromkeys(filter(None, map(captions.machine, records))))
        what = f"cost: {captions.clocks(costs)} of the median epoch{f' on {machines}' if machines else ''};"
        parts.append([what, captions.reference_seconds(study.results, costs)])
    figure = plotting.canvas(
        1.1 + height * len(places),
        title="\n".join(_fill(line, int(CHARACTERS * width)) for line in parts),
        width=width,
    )
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=0.1)
    grid = figure.subplots(len(places), len(panels), squeeze=False, sharey=False if found.numeric else "row")
    for row, place in zip(grid, places, strict=True):
        lines = [line for line in found.lines if line.place == place]
        for axes, panel in zip(row, panels, strict=True):
            if found.numeric:
                _curves(axes, found, lines, panel, looks)
            else:
                _dots(axes, found, lines, panel, looks)
        if len(places) > 1:
            row[0].set_title(", ".join(place), loc="left")
    plotting.legend(figure, _entries(found, looks))
    return figure


def _fill(parts: Sequence[str], characters: int) -> str:
    """Join what fits on a line; otherwise each part has lines of its own."""
    line = " ".join(parts)
    return line if len(line) <= characters else "\n".join(textwrap.fill(part, characters) for part in parts)


def _looks(found: Sweep) -> dict[str, Look]:
    """Give each line of the sweep its style by its name; vanilla is black where all lines share it."""
    names = list(dict.fromkeys(line.name for line in found.lines))
    # The first style is vanilla's.
    styles = plotting.styles(["vanilla", *names])
    shared = all(len({line.baseline for line in found.lines if line.place == place}) == 1 for place in _places(found))
    return {
        name: Look(
            styles[name],
            plotting.COLOURS[0] if shared else styles[name].colour,
            rank / (len(names) - 1) - 0.5 if len(names) > 1 else 0.0,
        )
        for rank, name in enumerate(names)
    }


def _places(found: Sweep) -> set[tuple[str, str]]:
    return {line.place for line in found.lines}


def _curves(axes: Axes, found: Sweep, lines: Sequence[Line], panel: Panel, looks: Mapping[str, Look]) -> None:
    """Draw a panel of a swept number."""
    scale = _scale(axes, found.values)
    # Several lines may have one vanilla.
    references = {line.baseline: looks[line.name].reference for line in lines if line.baseline is not None}
    for label, colour in references.items():
        if not panel.relative:
            _reference(axes, panel.values(label), colour)
    for line in lines:
        look = looks[line.name]
        points = [(value, values) for value, label in line.points if (values := panel.values(label))]
        if not points:
            continue
        x = [scale(float(value), DODGE * look.offset) for value, _ in points]
        beside = [scale(float(value), DODGE * look.offset + ASIDE) for value, values in points for _ in values]
        spreads = [deviation(values) or 0.0 for _, values in points]
        colour = look.style.colour
        _seeds(axes, beside, [one for _, values in points for one in values], colour)
        axes.errorbar(
            x, [mean(values) for _, values in points], spreads if any(spreads) else None, color=colour,
            linestyle=look.style.dash, linewidth=1.4, marker=look.style.marker, markersize=4.5, capsize=2.5,
            elinewidth=1.1,
        )  # fmt: skip
    if panel.relative:
        axes.axhline(1, color=plotting.COLOURS[0], linestyle="--", linewidth=1.1, zorder=1)
    axes.set_xlabel(NAMES.get(found.parameter, found.parameter))
    axes.set_ylabel(panel.name)


def _scale(axes: Axes, values: Sequence[Value]) -> Callable[[float, float], float]:
    """Set up the axis of the values; return a function that moves a value by a part of their range on the axis."""
    low, high = float(min(values)), float(max(values))
    positive = [float(value) for value in values if value > 0]
    if low >= 0 and positive and high / min(positive) > DECADE:
        # Zero has no logarithm: the axis is linear below the smallest other value.
        axes.set_xscale("log") if low > 0 else axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
    if len(values) <= MOST_TICKS:
        axes.set_xticks([float(value) for value in values], [f"{value:g}" for value in values])
        axes.xaxis.set_minor_locator(NullLocator())
    transform = axes.xaxis.get_transform()
    ends = transform.transform(np.array([low, high]))
    width = float(ends[1] - ends[0])

    def moved(value: float, offset: float) -> float:
        place = transform.transform(np.array([value])) + offset * width
        return float(transform.inverted().transform(place)[0]) if offset else value

    return moved


def _reference(axes: Axes, values: Sequence[float], colour: str) -> None:
    """Draw vanilla's mean as a dashed line, and its standard deviation over seeds as a band."""
    centre, spread = mean(values), deviation(values)
    axes.axhline(centre, color=colour, linestyle="--", linewidth=1.1, zorder=1)
    if spread:
        axes.axhspan(centre - spread, centre + spread, color=colour, alpha=0.12, linewidth=0, zorder=0)


def _seeds(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str) -> None:
    axes.plot(x, y, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=colour, alpha=0.35, zorder=1.5)


def _dots(axes: Axes, found: Sweep, lines: Sequence[Line], panel: Panel, looks: Mapping[str, Look]) -> None:
    """Draw a panel of swept names: one row each, vanilla at the top."""
    vanillas = ["vanilla"] if any(line.baseline is not None for line in found.lines) else []
    ranks = {spell(value): len(vanillas) + place for place, value in enumerate(found.values)}
    drawn = set()
    for line in lines:
        look = looks[line.name]
        rows = [(ranks[spell(value)], label, look.style.colour) for value, label in line.points]
        # As above; one that all share stands in the middle of its row.
        if line.baseline is not None and line.baseline not in drawn:
            drawn.add(line.baseline)
            rows.insert(0, (0, line.baseline, look.reference))
        for rank, label, colour in rows:
            values = panel.values(label)
            if not values:
                continue
            centre, low, high = interval(values)
            vanilla = label == line.baseline
            y = rank + (0 if vanilla and colour != look.style.colour else 0.5 * look.offset)
            if vanilla and panel.relative:
                continue
            if vanilla:
                axes.axvline(centre, color=colour, linestyle="--", linewidth=0.9, zorder=1)
            _seeds(axes, values, [y + BELOW] * len(values), colour)
            ends = None if low is None or high is None else [[centre - low], [high - centre]]
            axes.errorbar(
                [centre], [y], xerr=ends, color=colour, marker=plotting.MARKERS[0] if vanilla else look.style.marker,
                markersize=4.5, capsize=2.5, linestyle="", elinewidth=1.3,
            )  # fmt: skip
    if panel.relative:
        axes.axvline(1, color=plotting.COLOURS[0], linestyle="--", linewidth=0.9, zorder=1)
    names = [*vanillas, *map(spell, found.values)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(panel.name)


def _entries(found: Sweep, looks: Mapping[str, Look]) -> list[Artist]:
    """Return the legend's entries: the lines, and what vanilla looks like."""
    entries: list[Artist] = [
        Line2D(
            [], [], color=look.style.colour, linestyle=look.style.dash if found.numeric else "",
            marker=look.style.marker, markersize=4.5, label=method_name(name),
        )
        for name, look in looks.items()
    ]  # fmt: skip
    if any(line.baseline is not None for line in found.lines):
        colours = {look.reference for look in looks.values()}
        colour = plotting.COLOURS[0] if len(colours) == 1 else "#666666"
        zero = VANILLA.get(found.parameter)
        text = f"vanilla ({zero})" if zero else "vanilla"
        text = text if len(colours) == 1 else f"{text}, same colour"
        marker = "" if found.numeric else plotting.MARKERS[0]
        entries.append(Line2D([], [], color=colour, linestyle="--", marker=marker, markersize=4.5, label=text))
        if found.numeric:
            entries.append(Patch(color=colour, alpha=0.12, linewidth=0, label="its standard deviation"))
    return entries
