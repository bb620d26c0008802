"""Grids as one self-contained HTML page: no script, nothing loaded from elsewhere, light and dark."""

from collections.abc import Sequence
from itertools import groupby

import jinja2

from ews.pipeline.report.layout import Cell, Grid

TEMPLATE = "table.html"


def render(title: str, grids: Sequence[Grid]) -> str:
    """Return the page; every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ews.pipeline.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(TEMPLATE)
    return page.render(title=title, tables=[(grid, _groups(grid), _bodies(grid)) for grid in grids]) + "\n"


def _groups(grid: Grid) -> list[tuple[str, int]]:
    """Return the groups of columns with their sizes; none if no column has one."""
    if not any(column.group for column in grid.columns):
        return []
    return [(name, len(list(members))) for name, members in groupby(grid.columns, key=lambda column: column.group)]


def _bodies(grid: Grid) -> list[list[tuple[list[tuple[str, int]], tuple[Cell, ...], bool]]]:
    """Split the rows by their outermost name, which no other row may span.

    Returns:
        per body its rows: the names that stand in it with the number of rows that they span, its
        cells, and whether an inner group starts here.
    """
    bodies = []
    for _, members in groupby(grid.rows, key=lambda row: row.heads[:-1][:1]):
        rows = list(members)
        body = []
        for place, row in enumerate(rows):
            heads = []
            for depth, name in enumerate(row.heads):
                prefix, last = row.heads[: depth + 1], depth == len(row.heads) - 1
                if not last and place and rows[place - 1].heads[: depth + 1] == prefix:
                    continue
                alike = [other.heads[: depth + 1] == prefix for other in rows[place:]]
                heads.append((name, 1 if last else [*alike, False].index(False)))
            body.append((heads, row.cells, bool(place) and len(heads) > 1))
        bodies.append(body)
    return bodies
