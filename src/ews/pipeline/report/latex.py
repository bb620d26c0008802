"""Grids as LaTeX tables, to be \\input into a paper."""

import re
from collections.abc import Sequence
from itertools import groupby

from ews.pipeline.report.layout import Cell, Grid
from ews.pipeline.report.markdown import outer_names

LAST = "\u017f"
"""The last character of those that pdfLaTeX knows with the encoding T1 (Latin-1 and Latin Extended-A)."""
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "_": r"\_",
        "%": r"\%",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": r"$-$",
        "–": "--",
        "“": "``",
        "”": "''",
    }
)


def escape(text: str) -> str:
    """Escape LaTeX's special characters, and spell out the typographic ones."""
    # Two hyphens in a row would be set as a dash.
    return "{}".join(part.translate(_SPECIAL) for part in re.split(r"(?<=-)(?=-)", text))


def render(grids: Sequence[Grid], *, study: str) -> str:
    """Return one ``table*`` environment per grid; needs the packages booktabs and fontenc with T1."""
    head = r"% Needs \usepackage[T1]{fontenc} and \usepackage{booktabs}."
    tables = [_table(grid, study) for grid in grids]
    if others := sorted({character for character in "".join(tables) if character > LAST}):
        head += f"\n% Has {' '.join(others)}, for which pdfLaTeX has no letters: take LuaLaTeX, and a font that has."
    return "\n\n".join([head, *tables]) + "\n"


def cell(value: Cell) -> str:
    """Return ``\\textbf{8.31} $\\pm$ 0.12 ($-$0.40)`` with what there is of it."""
    text = rf"\textbf{{{escape(value.text)}}}" if value.bold else escape(value.text)
    if value.spread:
        text += rf" $\pm$ {escape(value.spread)}"
    if value.change:
        text += f" ({escape(value.change)})"
    # Braces around the text: a cell that opens with [ would be read as an argument of the row's end before it.
    text = f"{{}}{text}" if text.startswith("[") else text
    return rf"{text}\textsuperscript{{{value.note}}}" if value.note else text


def _table(grid: Grid, study: str) -> str:
    lines = [r"\begin{table*}[t]", r"\centering", r"\scriptsize" if grid.wide else r"\small"]
    if grid.wide:
        lines.append(r"\setlength{\tabcolsep}{3pt}")
    lines += [
        rf"\caption{{{escape(grid.caption)}}}",
        rf"\label{{tab:{study.replace('_', '-')}-{grid.name}}}",
        r"\par\smallskip",
        rf"\begin{{tabular}}{{{'l' * len(grid.heads)}{'r' * len(grid.columns)}}}",
        r"\toprule",
        *_header(grid),
        r"\midrule",
    ]
    for place, (names, row) in enumerate(zip(outer_names(grid), grid.rows, strict=True)):
        if place and len(names) > 1 and names[-2]:
            lines.append(r"\addlinespace")
        lines.append(_line([*map(escape, names), *map(cell, row.cells)]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    for letter, text in grid.notes:
        lines.append(rf"\par\smallskip\footnotesize\raggedright\textsuperscript{{{letter}}} {escape(text)}")
    return "\n".join([*lines, r"\end{table*}"])


def _header(grid: Grid) -> list[str]:
    """Return the columns' names, under the names of their groups where there are any."""
    names = _line([*map(escape, grid.heads), *(escape(column.name) for column in grid.columns)])
    if not any(column.group for column in grid.columns):
        return [names]
    groups, rules, start = [""] * len(grid.heads), [], len(grid.heads) + 1
    for group, members in groupby(grid.columns, key=lambda column: column.group):
        count = len(list(members))
        groups.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    return [_line(groups), " ".join(rules), names]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
