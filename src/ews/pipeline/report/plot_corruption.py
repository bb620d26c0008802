"""Error per corruption, and error against severity."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ews.pipeline.evaluate.corruption.corruption_scores import BENCHMARK, PER_CORRUPTION, averaged, means
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.report import plotting, training_logs
from ews.pipeline.report.layout import fixed, method_name
from ews.pipeline.report.metric_names import CLEAN, short
from ews.pipeline.report.study_rows import Label
from ews.pipeline.report.training_logs import Study

MOST_POINTS = 7  # more methods than this beside each other cannot be told apart: a heat map then


def singles(study: Study) -> list[str]:
    """Return the metrics of the single corruptions; none where the study evaluates none."""
    return study.results.singles.get("corruption", [])


def _averaged(study: Study) -> tuple[str, tuple[str, ...]]:
    """Return the name of the mean over corruptions, and which these are."""
    options = study.manifest.asked("corruption", CorruptionOptions)
    assert options is not None
    return averaged(options.names)


def corruption(study: Study) -> Figure:
    """Draw the error per corruption (mean over severities): points with the range over seeds, or a heat map."""
    if not singles(study):
        return plotting.notice("Error per corruption", "This study evaluates no corruptions.")
    many = max(len(study.members(group)) for group in study.results.groups) > MOST_POINTS
    return _heat_maps(study) if many else _points(study)


def _columns(study: Study) -> tuple[list[str], list[str]]:
    """Return the metrics along the axis and their names: the main ones, then the single corruptions."""
    options = study.manifest.asked("corruption", CorruptionOptions)
    assert options is not None
    found = means(options.names)
    names = {CLEAN: "clean"}
    names |= {metric: f"mean of {len(members)}" if len(found) > 1 else "mean" for metric, members in found.items()}
    metrics = [*(metric for metric in names if _everywhere(study, metric)), *singles(study)]
    return metrics, [names.get(metric) or short(metric.removeprefix(PER_CORRUPTION)) for metric in metrics]


def _everywhere(study: Study, metric: str) -> bool:
    return all(metric in row for row in study.results.values.values())


def _points(study: Study) -> Figure:
    style = plotting.styles(study.methods)
    groups = study.results.groups
    figure = plotting.canvas(
        0.9 + 2.7 * len(groups),
        title=f"Error per corruption, mean over 5 severities: mean and range over seeds ({study.tested()})",
    )
    metrics, names = _columns(study)
    grid = figure.subplots(len(groups), 1, squeeze=False, sharex=True, sharey=_alike(groups))
    for axes, group in zip(grid[:, 0], groups, strict=True):
        rows = study.members(group)
        for place, label in enumerate(rows):
            values = [list(study.results.values[label][metric].by_seed.values()) for metric in metrics]
            x = np.arange(len(metrics)) + (place - (len(rows) - 1) / 2) * min(0.8 / len(rows), 0.22)
            look = style[label.method]
            axes.vlines(x, [min(v) for v in values], [max(v) for v in values], color=look.colour, linewidth=1.4)
            means = [study.results.values[label][metric].mean for metric in metrics]
            axes.plot(x, means, color=look.colour, linestyle="", marker=look.marker, markersize=4)
        for stripe in range(1, len(metrics), 2):
            axes.axvspan(stripe - 0.5, stripe + 0.5, color="#f3f3f3", zorder=0, linewidth=0)
        axes.axvline(len(metrics) - len(singles(study)) - 0.5, color="#8a8a8a", linewidth=0.8)
        axes.grid(axis="x", visible=False)
        axes.set_xlim(-0.5, len(metrics) - 0.5)
        axes.set_ylabel("error (%)")
        axes.set_title(study.name(group))
        _name_columns(axes, names)
    _from_zero(grid.flat)
    handles = plotting.lines({name: method_name(name) for name in study.methods}, style, markers=True)
    for handle in handles:
        handle.set(linestyle="")
    plotting.legend(figure, handles)
    return figure


def _heat_maps(study: Study) -> Figure:
    groups = study.results.groups
    metrics, names = _columns(study)
    sizes = [len(study.members(group)) for group in groups]
    figure = plotting.canvas(
        1.0 + sum(0.2 * size + 0.9 for size in sizes),
        title=f"Error per corruption (%), mean over 5 severities and seeds ({study.tested()})",
        width=plotting.WIDTH + 1.5,
    )
    grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[size + 3 for size in sizes])
    tables = [
        np.array([[study.results.values[label][metric].mean for metric in metrics] for label in study.members(group)])
        for group in groups
    ]
    low, high = min(table.min() for table in tables), max(table.max() for table in tables)
    for axes, group, table in zip(grid[:, 0], groups, tables, strict=True):
        image = axes.imshow(table, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            ink = "#ffffff" if value < (low + high) / 2 else "#000000"
            axes.text(column, row, fixed(float(value), 1), ha="center", va="center", fontsize=7, color=ink)
        axes.grid(visible=False)
        axes.set_title(study.name(group))
        axes.set_yticks(range(len(table)), [method_name(label.method) for label in study.members(group)])
        _name_columns(axes, names)
    figure.colorbar(image, ax=list(grid[:, 0]), label="error (%)", shrink=0.8)
    return figure


def _alike(groups: list[tuple[str, str, str]]) -> bool:
    """Tell whether all groups are of one data set: then their errors share a scale."""
    return len({group[0] for group in groups}) == 1


def _from_zero(panels: Iterable[Axes]) -> None:
    # Once all are drawn: a limit holds for every axis that shares it and ends their scaling.
    for axes in panels:
        axes.set_ylim(bottom=0)


def _name_columns(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelbottom=True, length=0)


def severity(study: Study) -> Figure:
    """Draw the error against severity, mean over the corruptions; severity 0 is the clean test set."""
    if not singles(study):
        return plotting.notice("Error against severity", "This study evaluates no corruptions.")
    metric, members = _averaged(study)
    what = "the 15 corruptions" if tuple(members) == BENCHMARK else metric.removeprefix("error on ")
    style = plotting.styles(study.methods)
    groups = study.results.groups
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure = plotting.canvas(
        0.9 + 2.9 * rows,
        title=f"Error against severity, mean over {what}: mean and range over seeds\n({study.tested()})",
        width=plotting.WIDTH if columns > 1 else 6.5,
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=_alike(groups))
    for place, axes in enumerate(grid.flat):
        if place >= len(groups):
            axes.set_axis_off()
            continue
        for label in study.members(groups[place]):
            _severity_curve(axes, study, label, members, style[label.method])
        axes.set_title(study.name(groups[place]))
        axes.set_xlabel("severity (0: clean)" if CLEAN in study.results.compared else "severity")
        axes.set_ylabel("error (%)")
        axes.tick_params(labelleft=True)
    _from_zero(grid.flat)
    handles = plotting.lines({name: method_name(name) for name in study.methods}, style, markers=True)
    plotting.legend(figure, handles)
    return figure


def _severity_curve(axes: Axes, study: Study, label: Label, members: tuple[str, ...], look: plotting.Style) -> None:
    points = training_logs.severities(study, label, members)
    if CLEAN in study.results.compared:
        points = {0: list(study.results.values[label][CLEAN].by_seed.values()), **points}
    curve = training_logs.band(list(points), list(map(list, zip(*points.values(), strict=True))))
    axes.plot(
        curve.x, curve.mean, color=look.colour, linestyle=look.dash, marker=look.marker, markersize=4, linewidth=1.4
    )
    axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
