"""How the weights of filters are distributed, by method and layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ews.pipeline.evaluate.filters.filters_spec import FiltersFindings, LayerFilters
from ews.pipeline.report import plotting
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.study_rows import Label
from ews.pipeline.report.training_logs import Array, Study, band

MOST_LAYERS = 4  # whose histograms have room beside each other
PANELS: Sequence[tuple[str, Callable[[LayerFilters], float]]] = (
    ("scale: deviation × √fan-in", lambda layer: layer.scale),
    ("kurtosis (normal: 3)", lambda layer: layer.kurtosis),
    ("near zero (%)", lambda layer: layer.near_zero),
    ("Gini of the filters' norms (%)", lambda layer: layer.norm_gini),
)
GREY = "#8a8a8a"


@dataclass(frozen=True, eq=False)
class Counted:
    """A training run's histograms.

    Attributes:
        findings: of its layers.
        edges: [bins + 1].
        standard, plain: densities [layers, bins] over these, of all weights, also of those beyond the ends.
    """

    findings: FiltersFindings
    edges: Array
    standard: Array
    plain: Array


def filters(study: Study) -> Figure:
    """Draw each group of methods in three rows of panels.

    The densities of the weights of a few layers, in standard deviations of the layer and in 1 / sqrt(fan-in); below,
    summaries by layer. Mean and range over seeds.
    """
    found = {label: counted(study, label) for label in study.results.labels}
    groups = [group for group in study.results.groups if any(found[row] for row in study.members(group))]
    style = plotting.styles(study.methods)
    figure = plotting.canvas(
        1.0 + 6.3 * len(groups),
        title=f"Weights of the filters, last epoch: mean and range over seeds ({study.seeds()})",
        width=plotting.WIDTH + 1,
    )
    grid = figure.subplots(3 * len(groups), MOST_LAYERS, squeeze=False)
    for place, group in enumerate(groups):
        rows = [row for row in study.members(group) if found[row]]
        panels = grid[3 * place : 3 * place + 3]
        layers = [layer.layer for layer in found[rows[0]][0].findings.last]
        shown = few(len(layers))
        for column in range(MOST_LAYERS):
            if column >= len(shown):
                panels[0][column].set_axis_off()
                panels[1][column].set_axis_off()
                continue
            name = f"{study.name(group)}: {layers[shown[column]]}" if len(groups) > 1 else layers[shown[column]]
            _densities(panels[0][column], panels[1][column], shown[column], name, rows, found, style)
        for axes, (title, value) in zip(panels[2], PANELS, strict=True):
            _summary(axes, title, value, rows, found, style)
        panels[0][0].set_ylabel("density")
        panels[1][0].set_ylabel("density")
    methods = [method for method in study.methods if any(row.method == method and found[row] for row in found)]
    plotting.legend(figure, plotting.lines({method: method_name(method) for method in methods}, style))
    return figure


def counted(study: Study, label: Label) -> list[Counted]:
    """Return the histograms of a row, by seed; nothing where the evaluation was not asked for."""
    found = []
    for entry in study.manifest.of(label):
        result = study.inputs.result(entry, "filters")
        if result is None or not isinstance(result.result, FiltersFindings):
            continue
        arrays = study.inputs.arrays(entry, result)
        edges = arrays["edges"].astype(np.float64)
        # Of all weights, so that what lies beyond the ends is missing from the area.
        whole = arrays["weights"][:, None] * np.diff(edges)
        found.append(Counted(result.result, edges, arrays["standard"] / whole, arrays["plain"] / whole))
    return found


def few(layers: int) -> list[int]:
    """Return which layers are shown: the first, the last and some between, evenly spaced, at most four."""
    return sorted({round(place) for place in np.linspace(0, layers - 1, min(layers, MOST_LAYERS))})


def _densities(
    above: Axes,
    below: Axes,
    layer: int,
    name: str,
    rows: Sequence[Label],
    found: dict[Label, list[Counted]],
    style: dict[str, plotting.Style],
) -> None:
    edges = found[rows[0]][0].edges
    centres = (edges[:-1] + edges[1:]) / 2
    normal = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    above.plot(centres, normal, color=GREY, linewidth=0.9, linestyle=":", zorder=1)
    for row in rows:
        look = style[row.method]
        for axes, histograms in (
            (above, [one.standard[layer] for one in found[row]]),
            (below, [one.plain[layer] for one in found[row]]),
        ):
            curve = band(list(centres), [list(one) for one in histograms])
            axes.plot(curve.x, curve.mean, color=look.colour, linestyle=look.dash, linewidth=1.3)
            axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
    above.set_title(name)
    above.set_xlabel("weight / deviation of the layer")
    below.set_xlabel("weight × √fan-in")
    for axes in (above, below):
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)


def _summary(
    axes: Axes,
    title: str,
    value: Callable[[LayerFilters], float],
    rows: Sequence[Label],
    found: dict[Label, list[Counted]],
    style: dict[str, plotting.Style],
) -> None:
    for row in rows:
        look = style[row.method]
        curves = [[value(layer) for layer in one.findings.last] for one in found[row]]
        curve = band(range(1, 1 + len(curves[0])), curves)
        axes.plot(
            curve.x, curve.mean, color=look.colour, linestyle=look.dash, marker=look.marker, markersize=3.5,
            linewidth=1.3,
        )  # fmt: skip
        axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set_title(title)
    axes.set_xlabel("convolution")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
