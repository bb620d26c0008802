"""How the weights of filters are distributed, by method and layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ews.core.errors import EwsError
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
LEFT_OUT = "\nlayers that not all rows of a group have alike are left out"


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

    @property
    def layers(self) -> dict[str, LayerFilters]:
        """The layers by name, in their order."""
        return {layer.layer: layer for layer in self.findings.last}

    def place(self, layer: str) -> int:
        """Return where a layer stands in the densities."""
        return list(self.layers).index(layer)


def filters(study: Study) -> Figure:
    """Draw each group of methods in three rows of panels.

    The densities of the weights of a few layers, in standard deviations of the layer and in 1 / sqrt(fan-in); below,
    summaries by layer. Mean and range over seeds. Of networks that differ in depth the layers that :func:`common`
    finds; the title says so.

    Raises:
        EwsError: the rows of a group have no layer in common.
    """
    found = {label: counted(study, label) for label in study.results.labels}
    groups = [group for group in study.results.groups if any(found[row] for row in study.members(group))]
    networks = {group: [one for row in study.members(group) for one in found[row]] for group in groups}
    shared = {
        group: common(runs, where=f"{study.manifest.study}, {study.name(group)}") for group, runs in networks.items()
    }
    partial = any(list(one.layers) != shared[group] for group, runs in networks.items() for one in runs)
    style = plotting.styles(study.methods)
    figure = plotting.canvas(
        1.0 + 6.3 * len(groups),
        title=f"Weights of the filters, last epoch: mean and range over seeds ({study.seeds()})"
        f"{LEFT_OUT if partial else ''}",
        width=plotting.WIDTH + 1,
    )
    grid = figure.subplots(3 * len(groups), MOST_LAYERS, squeeze=False)
    for place, group in enumerate(groups):
        rows = [row for row in study.members(group) if found[row]]
        panels = grid[3 * place : 3 * place + 3]
        layers = shared[group]
        shown = [layers[layer] for layer in few(len(layers))]
        for column in range(MOST_LAYERS):
            if column >= len(shown):
                panels[0][column].set_axis_off()
                panels[1][column].set_axis_off()
                continue
            name = f"{study.name(group)}: {shown[column]}" if len(groups) > 1 else shown[column]
            _densities(panels[0][column], panels[1][column], shown[column], name, rows, found, style)
        for axes, (title, value) in zip(panels[2], PANELS, strict=True):
            _summary(axes, title, value, layers, rows, found, style)
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


def common(networks: Sequence[Counted], *, where: str) -> list[str]:
    """Return the names of the layers that networks have in common, in the order of the first.

    Where all have layers of the same names, these are all. Else networks differ in depth, and since blocks are numbered
    through the stages, a layer of one name may stand in another stage: only those of the same filters and fan-in count.

    Args:
        networks: at least one.
        where: whose they are, for messages.

    Raises:
        EwsError: there is none.
    """
    first, *others = [one.layers for one in networks]
    alike = all(set(other) == set(first) for other in others)
    found = [
        name
        for name, layer in first.items()
        if all(name in other and (alike or _shape(other[name]) == _shape(layer)) for other in others)
    ]
    if not found:
        raise EwsError(
            f"figures: {where}: no layer of one name and shape is in the networks of all rows, so that filters cannot "
            "be compared layer by layer. Make a study for each network, or leave the evaluation `filters` out."
        )
    return found


def _shape(layer: LayerFilters) -> tuple[int, int]:
    return layer.filters, layer.fan_in


def few(layers: int) -> list[int]:
    """Return which layers are shown: the first, the last and some between, evenly spaced, at most four."""
    return sorted({round(place) for place in np.linspace(0, layers - 1, min(layers, MOST_LAYERS))})


def _densities(
    above: Axes,
    below: Axes,
    layer: str,
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
            (above, [one.standard[one.place(layer)] for one in found[row]]),
            (below, [one.plain[one.place(layer)] for one in found[row]]),
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
    layers: Sequence[str],
    rows: Sequence[Label],
    found: dict[Label, list[Counted]],
    style: dict[str, plotting.Style],
) -> None:
    for row in rows:
        look = style[row.method]
        curves = [[value(one.layers[layer]) for layer in layers] for one in found[row]]
        curve = band(range(1, 1 + len(layers)), curves)
        axes.plot(
            curve.x, curve.mean, color=look.colour, linestyle=look.dash, marker=look.marker, markersize=3.5,
            linewidth=1.3,
        )  # fmt: skip
        axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set_title(title)
    axes.set_xlabel("convolution")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
