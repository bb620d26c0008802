"""How every figure looks: a palette that colour-blind readers can tell apart, and files alike on every run."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

WIDTH = 9.5  # inches of a whole row of panels; at 72 points an inch it fits a page of text at 100 %
# Okabe and Ito's palette without its yellow, which white paper swallows; the first one is for vanilla.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
Dash = Literal["-", "--", ":", "-."]
DASHES: tuple[Dash, ...] = ("-", "--", ":", "-.")
MARKERS = "osD^vP*X"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "ews",  # identifiers in the file depend on nothing but the drawing
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.parse_math": False,  # names are text, whatever signs they hold
}


@dataclass(frozen=True)
class Style:
    """How one method is drawn wherever it appears in a study."""

    colour: str
    dash: Dash
    marker: str


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """Give each method its style: colours first, then the same colours with other dashes and other markers."""
    return {
        method: Style(
            COLOURS[place % len(COLOURS)],
            DASHES[place // len(COLOURS) % len(DASHES)],
            # One further with each round of the colours, or a colour would always have the same marker.
            MARKERS[(place + 2 * (place // len(COLOURS))) % len(MARKERS)],
        )
        for place, method in enumerate(methods)
    }


def ramp(methods: Sequence[str], every: Sequence[str]) -> dict[str, str]:
    """Give each method its own colour where dashes mean something else: that of the other figures, or dark to light.

    Args:
        methods: the ones that are drawn.
        every: all methods of the study, in the order that :func:`styles` gets them.
    """
    if len(every) <= len(COLOURS):
        return {method: COLOURS[every.index(method)] for method in methods}
    steps = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(methods)))
    return {method: to_hex(step) for method, step in zip(methods, steps, strict=True)}


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Draw and save under matplotlib's defaults and :data:`SETTINGS`, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def canvas(height: float, *, title: str, width: float = WIDTH) -> Figure:
    """Return an empty figure, inches, with room kept for title and legend."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title)
    return figure


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put the legend below all panels, in as many columns as its longest name allows."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int(figure.get_figwidth() * 12 / (longest + 8))))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def lines(names: Mapping[str, str], style: Mapping[str, Style], *, markers: bool = False) -> list[Artist]:
    """Return a legend's entries: method to the text beside its line."""
    return [
        Line2D(
            [],
            [],
            color=style[name].colour,
            linestyle=style[name].dash,
            label=text,
            marker=style[name].marker if markers else "",
            markersize=4.5,
        )
        for name, text in names.items()
    ]


def blank(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="#444444")


def notice(title: str, text: str) -> Figure:
    """Return a small figure that says why there is nothing to draw."""
    figure = canvas(1.4, title=title, width=6)
    blank(figure.add_subplot(), text)
    return figure


def drawn(figure: Figure, kind: str, *, title: str) -> bytes:
    """Return a figure as a file of the format ``kind``, svg or png; same drawing, same bytes (SVG)."""
    stream = io.BytesIO()
    metadata = {"Title": title, "Date": None, "Creator": None} if kind == "svg" else {"Title": title}
    figure.savefig(stream, format=kind, metadata=metadata, dpi=110)
    return stream.getvalue()
