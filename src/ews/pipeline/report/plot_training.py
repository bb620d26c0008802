"""Training curves: validation error and training loss per epoch."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ews.methods.method_registry import METHODS
from ews.pipeline.report import plotting, training_logs
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.training_logs import Study
from ews.pipeline.study.methods import objective

COLUMNS = 3
SPAN = 4.0
PARTS = (
    ("validation_error", "validation error (%)", 100.0),
    ("train_loss", "training loss (nats)", 1.0),
)
OWN = "training loss\n(own of each objective)"


def training(study: Study) -> Figure:
    """Draw both curves, one column of panels per group of methods; line: mean over seeds, band: lowest to highest."""
    style = plotting.styles(study.methods)
    groups = study.results.groups
    columns = min(COLUMNS, len(groups))
    bands = -(-len(groups) // columns)
    figure = plotting.canvas(
        0.9 + 4.4 * bands,
        title=f"Training: mean over seeds, band from lowest to highest ({study.seeds()})",
        width=plotting.WIDTH if columns > 1 else 6.5,
    )
    alike = len({group[0] for group in groups}) == 1  # errors on different data sets share no scale
    grid = figure.subplots(2 * bands, columns, squeeze=False, sharey="row" if alike else False)
    for place in range(bands * columns):
        panels = [grid[2 * (place // columns) + part][place % columns] for part in range(len(PARTS))]
        if place >= len(groups):
            for axes in panels:
                axes.set_axis_off()
            continue
        panels[0].set_title(study.name(groups[place]))
        for axes, (column, text, scale) in zip(panels, PARTS, strict=True):
            drawn = False
            for label in study.members(groups[place]):
                curve = training_logs.epochs(study, label, column, scale=scale)
                if curve is None:
                    continue
                look = style[label.method]
                # A single epoch is a point, which a line would not show.
                marker = look.marker if len(curve.x) == 1 else ""
                axes.plot(curve.x, curve.mean, color=look.colour, linestyle=look.dash, marker=marker, linewidth=1.4)
                axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
                drawn = True
            if not drawn:
                plotting.blank(axes, f"no {text.split(' (')[0]} in these training runs")
                continue
            axes.set_xlabel("epoch")
            axes.set_ylabel(OWN if column == "train_loss" and _several(study, groups[place]) else text)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
            axes.tick_params(labelleft=True)
            _scale(axes)
    plotting.legend(figure, plotting.lines({name: method_name(name) for name in study.methods}, style))
    return figure


def _several(study: Study, group: tuple[str, str, str]) -> bool:
    """Tell whether a group's rows have losses that cannot be compared: different objectives."""
    cells = [entry.cell for label in study.members(group) for entry in study.manifest.of(label)]
    return len({objective([METHODS[name] for name in cell.method.names]) for cell in cells}) > 1


def _scale(axes: Axes) -> None:
    """Spread the late epochs, where methods differ by little: a logarithmic axis if the values span enough of one."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()])
    if values.min() <= 0 or values.max() / values.min() < SPAN:
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
