"""How far factors on the weights mimic corruptions of the images, and how far these factors are from 1."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ews.pipeline.evaluate.mimicry.mimicry_spec import Explained, Mimicked, MimicryFindings, MimicryOptions
from ews.pipeline.report import plotting
from ews.pipeline.report.layout import method_name
from ews.pipeline.report.metric_names import short
from ews.pipeline.report.study_rows import Label
from ews.pipeline.report.training_logs import Study

LOWEST = -50.0  # percent: a share below this is drawn here
WIDTH = 0.8  # of a corruption's column, that the methods share
GREY = "#8a8a8a"


def mimicry(study: Study) -> Figure:
    """Draw the mimicked share per corruption, on held-out and on fitted images, and the factors' spread.

    Left: mean over seeds with the range of the held-out share; a bar where a constant on the logits gets. Right: each
    corruption's error on the held-out images against the spread of its factors, means over seeds.
    """
    options = study.manifest.asked("mimicry", MimicryOptions)
    assert options is not None
    groups = [group for group in study.results.groups if any(findings(study, row) for row in study.members(group))]
    style = plotting.styles(study.methods)
    counts = findings(study, next(row for row in study.members(groups[0]) if findings(study, row)))[0]
    figure = plotting.canvas(
        1.1 + 2.9 * len(groups),
        title=f"Corruptions at severity {options.severity}, mimicked by one factor for each weight: fitted to "
        f"{counts.fitted} test images, held out {counts.held_out}\nmean and range over seeds ({study.seeds()})",
        width=plotting.WIDTH + 1,
    )
    grid = figure.subplots(len(groups), 2, squeeze=False, width_ratios=[3.2, 1])
    for (shares, spreads), group in zip(grid, groups, strict=True):
        rows = [row for row in study.members(group) if findings(study, row)]
        for place, row in enumerate(rows):
            offset = (place - (len(rows) - 1) / 2) * WIDTH / len(rows)
            _shares(shares, findings(study, row), options.names, style[row.method], offset, WIDTH / len(rows))
            _spreads(spreads, findings(study, row), options.names, style[row.method])
        _name(shares, options.names, study.name(group))
        spreads.set_xlabel("error under the corruption (%)")
        spreads.set_ylabel("spread of the factors (%)")
        spreads.set_ylim(bottom=0)
    plotting.legend(figure, [*_methods(study, style), *_marks()])
    return figure


def findings(study: Study, label: Label) -> list[MimicryFindings]:
    """Return what was found of a row, by seed; nothing where the evaluation was not asked for."""
    results = [study.inputs.result(entry, "mimicry") for entry in study.manifest.of(label)]
    return [one.result for one in results if one is not None and isinstance(one.result, MimicryFindings)]


def values(found: Sequence[MimicryFindings], name: str, value: Callable[[Mimicked, Explained], float]) -> list[float]:
    """Return a value of a corruption's row by seed; nothing of networks whose logits it does not change."""
    rows = [row for one in found for row in one.rows if row.corruption == name]
    return [value(row, row.explained) for row in rows if row.explained is not None]


def _shares(
    axes: Axes,
    found: Sequence[MimicryFindings],
    names: Sequence[str],
    look: plotting.Style,
    offset: float,
    width: float,
) -> None:
    for place, name in enumerate(names):
        held_out = values(found, name, lambda _, explained: explained.held_out)
        if not held_out:
            continue
        fitted = values(found, name, lambda _, explained: explained.fitted)
        constant = values(found, name, lambda _, explained: explained.constant)
        x = place + offset
        axes.vlines(x, _drawn(min(held_out)), _drawn(max(held_out)), color=look.colour, linewidth=1.4)
        axes.plot([x], [_drawn(float(np.mean(held_out)))], color=look.colour, marker=look.marker, markersize=4)
        axes.plot(
            [x], [_drawn(float(np.mean(fitted)))], color=look.colour, marker=look.marker, markersize=4,
            markerfacecolor="white", markeredgewidth=0.9,
        )  # fmt: skip
        level = _drawn(float(np.mean(constant)))
        axes.hlines(level, x - 0.42 * width, x + 0.42 * width, color=look.colour, linewidth=1.0)


def _spreads(axes: Axes, found: Sequence[MimicryFindings], names: Sequence[str], look: plotting.Style) -> None:
    for name in names:
        errors = values(found, name, lambda row, _: row.error)
        spreads = values(found, name, lambda row, _: 100 * row.spread)
        if errors:
            x, y = float(np.mean(errors)), float(np.mean(spreads))
            axes.plot([x], [y], color=look.colour, marker=look.marker, markersize=4, linestyle="")
            axes.vlines(x, min(spreads), max(spreads), color=look.colour, linewidth=0.9)


def _drawn(share: float) -> float:
    return max(share, LOWEST)


def _name(axes: Axes, names: Sequence[str], title: str) -> None:
    for stripe in range(1, len(names), 2):
        axes.axvspan(stripe - 0.5, stripe + 0.5, color="#f3f3f3", zorder=0, linewidth=0)
    axes.grid(axis="x", visible=False)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(top=103)
    axes.set_ylabel("change of the logits mimicked (%)")
    axes.set_title(title)
    ticks = [short(name) for name in names]
    axes.set_xticks(range(len(names)), ticks, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)


def _methods(study: Study, style: dict[str, plotting.Style]) -> list[Artist]:
    shown = [method for method in study.methods if any(label.method == method for label in study.results.labels)]
    handles = plotting.lines({method: method_name(method) for method in shown}, style, markers=True)
    for handle in handles:
        handle.set(linestyle="")
    return handles


def _marks() -> list[Artist]:
    texts = {"held-out images": GREY, "fitted images": "white"}
    points: list[Artist] = [
        Line2D([], [], color=GREY, linestyle="", marker="o", markersize=4, markerfacecolor=face, label=text)
        for text, face in texts.items()
    ]
    return [*points, Line2D([], [], color=GREY, linewidth=1.0, label="held out, by a constant on the logits")]
