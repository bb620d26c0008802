"""Grids as one self-contained HTML page: no script, nothing loaded from elsewhere, light and dark."""

from collections.abc import Sequence
from itertools import groupby

import jinja2

from ews.pipeline.report.layout import Cell, Grid

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1b1b; --page: #ffffff; --rule: #8a8a8a; --soft: #5a5a5a; --band: #f2f4f6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --page: #16181b; --rule: #7c7c7c; --soft: #b4b4b4; --band: #23272c; }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 88rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
.scroll { overflow-x: auto; margin: 0 0 2.5rem; }
table { border-collapse: collapse; min-width: min(100%, 46rem);
  border-bottom: 2px solid var(--ink); font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .75rem; color: var(--soft); }
caption p { margin: 0; max-width: 60rem; }
th, td { padding: .3rem .55rem; text-align: right; white-space: nowrap; }
thead th { white-space: normal; }
table.wide { font-size: .92rem; }
table.wide th, table.wide td { padding: .3rem .35rem; }
thead tr:first-child > * { border-top: 2px solid var(--ink); }
thead tr:last-child > * { border-bottom: 1px solid var(--ink); }
thead th[scope=colgroup] { text-align: center; border-bottom: 1px solid var(--rule); }
th.name { text-align: left; font-weight: normal; vertical-align: top; }
thead th.name { font-weight: 600; vertical-align: bottom; }
tbody + tbody > tr:first-child > * { border-top: 1px solid var(--rule); }
tbody tr.inner > td, tbody tr.inner > th { border-top: 1px dotted var(--rule); }
tbody tr:hover > td { background: var(--band); }
.spread, .change { color: var(--soft); }
.notes { margin: .75rem 0 0; font-size: .9rem; color: var(--soft); }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for grid, groups, bodies in tables %}
<div class="scroll" role="region" tabindex="0" aria-labelledby="caption-{{ grid.name }}">
<table{% if grid.wide %} class="wide"{% endif %}>
<caption id="caption-{{ grid.name }}"><p>{{ grid.caption }}</p></caption>
<thead>
{% if groups %}
<tr>{% for head in grid.heads %}<th class="name" scope="col" rowspan="2">{{ head }}</th>{% endfor %}
{% for name, count in groups %}<th scope="colgroup" colspan="{{ count }}">{{ name }}</th>{% endfor %}</tr>
<tr>{% for column in grid.columns %}<th scope="col">{{ column.name }}</th>{% endfor %}</tr>
{% else %}
<tr>{% for head in grid.heads %}<th class="name" scope="col">{{ head }}</th>{% endfor %}
{% for column in grid.columns %}<th scope="col">{{ column.name }}</th>{% endfor %}</tr>
{% endif %}
</thead>
{% for body in bodies %}
<tbody>
{% for heads, cells, inner in body %}
<tr{% if inner %} class="inner"{% endif %}>
{% for name, span in heads %}
<th class="name" scope="{{ 'rowgroup' if span > 1 else 'row' }}" rowspan="{{ span }}">{{ name }}</th>
{% endfor %}
{% for cell in cells %}
<td>{% if cell.bold %}<strong>{{ cell.text }}</strong>{% else %}{{ cell.text }}{% endif %}
{%- if cell.spread %}<span class="spread"> ± {{ cell.spread }}</span>{% endif %}
{%- if cell.change %}<span class="change"> ({{ cell.change }})</span>{% endif %}
{%- if cell.note %}<sup>{{ cell.note }}</sup>{% endif %}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
{% endfor %}
</table>
{% for letter, text in grid.notes %}
<p class="notes"><sup>{{ letter }}</sup> {{ text }}</p>
{% endfor %}
</div>
{% endfor %}
</main>
</body>
</html>
"""


def render(title: str, grids: Sequence[Grid]) -> str:
    """Return the page; every text is escaped."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(_PAGE)
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
