"""Grids as Markdown (GitHub's pipe tables)."""

import re
from collections.abc import Sequence

from tabulate import tabulate

from ews.pipeline.report.layout import Cell, Column, Grid

# $ opens a formula on GitHub, & an entity.
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~$&"})
# What makes an item of a list of the paragraph that it begins.
_ITEM = re.compile(r"^(\d*)([-+.)])(?=\s|$)")


def escape(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return _ITEM.sub(r"\1\\\2", text.translate(_SPECIAL))


def render(title: str, grids: Sequence[Grid]) -> str:
    """Return a page: the title, and each grid with its caption above and its footnotes below."""
    parts = [f"# {escape(title)}"]
    for grid in grids:
        parts += [escape(grid.caption), _table(grid)]
        parts += [f"<sup>{letter}</sup> {escape(text)}" for letter, text in grid.notes]
    return "\n\n".join(parts) + "\n"


def cell(value: Cell) -> str:
    """Return ``**8.31** ± 0.12 (−0.40)`` with what there is of it."""
    text = f"**{escape(value.text)}**" if value.bold else escape(value.text)
    if value.spread:
        text += f" ± {value.spread}"
    if value.change:
        text += f" ({value.change})"
    return f"{text}<sup>{value.note}</sup>" if value.note else text


def _table(grid: Grid) -> str:
    headers = [*(escape(head) for head in grid.heads), *(escape(_flat(column)) for column in grid.columns)]
    rows = [
        [*(escape(name) for name in names), *(cell(value) for value in row.cells)]
        for names, row in zip(outer_names(grid), grid.rows, strict=True)
    ]
    sides = ["left"] * len(grid.heads) + ["right"] * len(grid.columns)
    # Numbers are text by now, with marks and rounding; tabulate is not to parse them again.
    return tabulate(rows, headers=headers, tablefmt="pipe", colalign=sides, disable_numparse=True)


def _flat(column: Column) -> str:
    return f"{column.group}: {column.name}" if column.group else column.name


def outer_names(grid: Grid) -> list[tuple[str, ...]]:
    """Return each row's names with those left out that the row above has too, its innermost always kept."""
    shown = []
    above: tuple[str, ...] = ()
    for row in grid.rows:
        alike = 0
        while alike < len(row.heads) - 1 and row.heads[: alike + 1] == above[: alike + 1]:
            alike += 1
        shown.append(("",) * alike + row.heads[alike:])
        above = row.heads
    return shown
