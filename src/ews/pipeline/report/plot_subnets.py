"""Accuracy of random subnets against the corruption error of the whole network, by method and seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ews.core.errors import EwsError
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings
from ews.pipeline.evaluate.subnets.subnets_scores import statistics
from ews.pipeline.evaluate.subnets.subnets_spec import SubnetsFindings, SubnetsOptions
from ews.pipeline.report import plotting
from ews.pipeline.report.correlations import Correlation, between, within
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.study_rows import Label
from ews.pipeline.report.training_logs import Study

WEAK = 0.95  # the quantile of the errors that the right panel shows
GREY = "#8a8a8a"
MARKER_SIZES = {"*": 11.0, "P": 8.0, "X": 8.0}
"""Of means, where a marker fills little of its square; 7 of all others."""
PANELS: Mapping[str, Callable[[SubnetsFindings], float]] = {
    "mean accuracy of random subnets (%)": lambda found: 100 - found.mean,
    "accuracy that 95 % of them exceed (%)": lambda found: 100 - found.quantile(WEAK),
}


@dataclass(frozen=True)
class Row:
    """The seeds of a row that were measured both ways.

    Attributes:
        corrupted: corruption error, percent, [seeds].
        subnets: what was found of the subnets, by seed.
    """

    corrupted: NDArray[np.float64]
    subnets: tuple[SubnetsFindings, ...]


def subnets(study: Study) -> Figure:
    """Draw for each group the mean of the subnets' accuracies, and their 5 % quantile, over the corruption error."""
    options = study.manifest.asked("subnets", SubnetsOptions)
    assert options is not None
    found = {label: row for label in study.results.labels if (row := measured(study, label)) is not None}
    title = f"{options.count:,} random subnets of width {options.width:g}, the same for all rows"
    if not found:
        return plotting.notice(title, "No row has both evaluations: add corruption to the study's evaluations.")
    groups = [group for group in study.results.groups if any(label in found for label in study.members(group))]
    style = plotting.styles(study.methods)
    images = next(iter(found.values())).subnets[0].n
    figure = plotting.canvas(
        1.3 + 3.3 * len(groups),
        title=f"{title}, on {images:,} validation images ({study.seeds()})\nnormalised by {statistics(options)}",
    )
    for axes, group in zip(figure.subplots(len(groups), 2, squeeze=False), groups, strict=True):
        rows = {label: found[label] for label in study.members(group) if label in found}
        _check(rows)
        name = f"{study.name(group)}\n" if len(groups) > 1 else ""
        for panel, (text, value) in zip(axes, PANELS.items(), strict=True):
            _panel(panel, rows, value, style)
            panel.set_ylabel(text)
            panel.set_xlabel("corruption error of the whole network (%)")
            panel.set_title(name + "\n".join(correlations(list(rows.values()), value)))
    shown = [method for method in study.methods if any(label.method == method for label in found)]
    plotting.legend(figure, [*_methods(shown, style), *_sizes()])
    return figure


def measured(study: Study, label: Label) -> Row | None:
    """Return the seeds of a row that have both evaluations; None without one."""
    corrupted, found = [], []
    for entry in study.manifest.of(label):
        of_subnets, of_corruptions = (study.inputs.result(entry, kind) for kind in ("subnets", "corruption"))
        if of_subnets is None or of_corruptions is None:
            continue
        if isinstance(of_subnets.result, SubnetsFindings) and isinstance(of_corruptions.result, CorruptionFindings):
            found.append(of_subnets.result)
            corrupted.append(float(np.mean([row.error for row in of_corruptions.result.rows])))
    return Row(np.array(corrupted), tuple(found)) if found else None


def correlations(rows: Sequence[Row], value: Callable[[SubnetsFindings], float]) -> list[str]:
    """Say how a value of the subnets goes with the corruption error, between methods and within them."""
    pairs = [(row.corrupted, np.array([value(one) for one in row.subnets])) for row in rows]
    return [f"between methods: {_text(between(pairs), 'methods')}", f"within methods: {_text(within(pairs), 'runs')}"]


def _text(found: Correlation | None, what: str) -> str:
    return f"too few {what}" if found is None else f"{found} {what}"


def _check(rows: Mapping[Label, Row]) -> None:
    """Refuse to compare networks on different subnets."""
    sums = {one.subnets: label for label, row in rows.items() for one in row.subnets}
    if len(sums) > 1:
        first, second, *_ = sums.values()
        raise EwsError(
            f"figures: {first} and {second} were not measured on the same random subnets. Delete the subnets.json "
            "of one of them and measure it again with the versions of the other."
        )


def _panel(
    axes: Axes,
    rows: Mapping[Label, Row],
    value: Callable[[SubnetsFindings], float],
    style: Mapping[str, plotting.Style],
) -> None:
    for label, row in rows.items():
        look = style[label.method]
        values = [value(one) for one in row.subnets]
        axes.plot(row.corrupted, values, linestyle="", marker=look.marker, markersize=3, color=look.colour, alpha=0.4)
    # On top of all small ones.
    for label, row in rows.items():
        look = style[label.method]
        axes.plot(
            [row.corrupted.mean()], [np.mean([value(one) for one in row.subnets])], linestyle="", marker=look.marker,
            markersize=MARKER_SIZES.get(look.marker, 7.0),
            color=look.colour, markeredgecolor="white", markeredgewidth=0.7,
        )  # fmt: skip


def _methods(shown: Sequence[str], style: dict[str, plotting.Style]) -> list[Artist]:
    handles = plotting.lines({method: method_name(method) for method in shown}, style, markers=True)
    for handle in handles:
        handle.set(linestyle="")
    return handles


def _sizes() -> list[Artist]:
    return [
        Line2D([], [], color=GREY, linestyle="", marker="o", markersize=3, alpha=0.6, label="a seed"),
        Line2D([], [], color=GREY, linestyle="", marker="o", markersize=7, label="mean over seeds"),
    ]
