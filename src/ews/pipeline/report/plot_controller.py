"""What the search did: the controller's log, and how often each channel was kept."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ews.pipeline.artifacts.tables import Update
from ews.pipeline.report import plotting, training_logs
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.study_rows import Entry, Label
from ews.pipeline.report.training_logs import Study

POINTS = 40  # the running mean spans this fraction of a training
MOST_PANELS = 12
GROUPS = 3  # columns of panels
# Panel: solid column, dashed column or none, what they are, unit, factor to it.
PANELS = (
    ("reward", "baseline", "reward (accuracy, %)", 100.0),
    ("entropy", "", "entropy in the bonus (nats)", 1.0),
    ("subnet_accuracy", "full_accuracy", "batch accuracy (%)", 100.0),
)


def controller(study: Study) -> Figure:
    """Draw reward and baseline, entropy, and the accuracy of subnets and full network against the iteration."""
    logs = {label: found for label in study.results.labels if (found := training_logs.controllers(study, label))}
    if not logs:
        return plotting.notice("Controller", "No cell of this study has a learned controller.")
    methods = [method for method in study.methods if any(label.method == method for label in logs)]
    colours = plotting.ramp(methods, study.methods)
    groups = [group for group in study.results.groups if any(label.group == group for label in logs)]
    columns = min(GROUPS, len(groups))
    bands = -(-len(groups) // columns)
    figure = plotting.canvas(
        1.0 + 5.9 * bands,
        title=f"Controller: running mean over 1/{POINTS} of the training run; mean over seeds, "
        f"band from lowest to highest ({study.seeds()})",
    )
    grid = figure.subplots(len(PANELS) * bands, columns, squeeze=False)
    for place in range(bands * columns):
        top = len(PANELS) * (place // columns)
        panels = [grid[top + part][place % columns] for part in range(len(PANELS))]
        if place >= len(groups):
            for axes in panels:
                axes.set_axis_off()
            continue
        panels[0].set_title(study.name(groups[place]))
        for axes, panel in zip(panels, PANELS, strict=True):
            for label, found in logs.items():
                if label.group == groups[place]:
                    _draw(axes, found, panel, colours[label.method])
            axes.set_ylabel(panel[2])
            axes.set_xlabel("iteration")
    plotting.legend(figure, _entries(colours))
    return figure


def _entries(colours: dict[str, str]) -> list[Artist]:
    """Return the legend: colours are methods, dashes tell the two curves of a panel apart."""
    return [
        *(Line2D([], [], color=colour, label=method_name(method)) for method, colour in colours.items()),
        Line2D([], [], color="#666666", linestyle="-", label="reward; subnet"),
        Line2D([], [], color="#666666", linestyle="--", label="baseline; full network"),
    ]


def _draw(axes: Axes, logs: list[tuple[Update, ...]], panel: tuple[str, str, str, float], colour: str) -> None:
    for column, dash in ((panel[0], "-"), (panel[1], "--")):
        curves = [training_logs.curve(log, column) for log in logs] if column else []
        found = [values for values in curves if values is not None]
        if not found or len(found) < len(curves):
            continue
        length = min(map(len, found))
        smooth = [
            training_logs.running_mean([panel[3] * value for value in values], max(1, length // POINTS))
            for values in found
        ]
        curve = training_logs.band([update.iteration for update in logs[0]], smooth)
        axes.plot(curve.x, curve.mean, color=colour, linestyle=dash, linewidth=1.3, marker="" if length > 1 else "o")
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)


def kept(study: Study) -> Figure:
    """Draw how often each hidden channel was kept: a heat map of blocks by channels for each training run.

    Colour is the difference to the mean of the layer, which the subnets' width alone decides; the
    title tells the mean of all, and how far the differences would spread if all channels were as
    likely. A channel's number means nothing in another training run, so seeds are not averaged. With too
    many training runs for one page, the first seed of each row is shown, then only the first rows.
    """
    found = [
        (entry, table)
        for label in study.results.labels
        for entry in study.manifest.of(label)
        if (table := training_logs.kept(study, entry))
    ]
    if not found:
        return plotting.notice("Kept channels", "No cell of this study samples subnets.")
    shown, left_out = _fit(found)
    columns = min(3, len(shown))
    bands = -(-len(shown) // columns)
    layers = max(len(table.layers) for _, table in shown)
    figure = plotting.canvas(
        0.8 + bands * (0.95 + max(1.3, 0.16 * layers)),
        title=f"How often each hidden channel was kept in the distilled subnets; one panel per training run{left_out}",
        width=plotting.WIDTH if columns > 1 else 6.5,
    )
    grid = figure.subplots(bands, columns, squeeze=False)
    largest = max(float(np.nanmax(np.abs(table.offsets))) for _, table in shown) or 1.0
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.set_axis_off()
            continue
        entry, table = shown[place]
        image = axes.imshow(
            table.offsets, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest"
        )
        axes.set_facecolor("#e4e4e4")  # no channel here; the middle of the colours is near white
        axes.grid(visible=False)
        name = f"{study.name(entry.label.group)}, {method_name(entry.label.method)}, seed {entry.seed}"
        mean = f"{100 * np.nanmean(table.shares):.0f} % kept"
        axes.set_title(f"{name}\n{mean}, sd by chance {table.chance:.1f}", fontsize=8.5)
        axes.set_yticks(range(len(table.layers)), table.layers if place % columns == 0 else [""] * len(table.layers))
        axes.tick_params(axis="y", labelsize=7)
        axes.set_xlabel("channel")
    label = "difference to the layer's\nmean (percentage points)"
    figure.colorbar(image, ax=list(grid.flat), label=label, shrink=0.9, aspect=30)
    return figure


Found = list[tuple[Entry, training_logs.Kept]]


def _fit(found: Found) -> tuple[Found, str]:
    """Return the training runs to show, and what the title says of the others."""
    if len(found) <= MOST_PANELS:
        return found, ""
    first: dict[Label, tuple[Entry, training_logs.Kept]] = {}
    for one in found:
        first.setdefault(one[0].label, one)
    shown = list(first.values())[:MOST_PANELS]
    rows = f"; the first {len(shown)} of {len(first)} rows" if len(shown) < len(first) else ""
    return shown, f"\n(the first seed of each row{rows})"
