"""Markdown, LaTeX and HTML: special characters escaped, rows complete, pages well-formed."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from ews.pipeline.report import html, latex, markdown, measure, reported, study_rows, table
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.layout import Cell, Column, Grid, Row

Grow = Callable[..., Any]
HOSTILE = "a_b & 50% #1 {x} $y$ ~^\\ <b>|*`"


def _grid() -> Grid:
    rows = (Row((HOSTILE, "m"), (Cell("1.00", note="a"),)), Row((HOSTILE, HOSTILE), (Cell("2.00", bold=True),)))
    return Grid("results", HOSTILE, ("augmentation", "method"), (Column(HOSTILE, "g"),), rows, (("a", HOSTILE),))


def test_latex_escapes_what_it_must() -> None:
    text = latex.render([_grid()], study="my_study")
    escaped = (
        r"a\_b \& 50\% \#1 \{x\} \$y\$ \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\textless{}b\textgreater{}\textbar{}*\textasciigrave{}"
    )
    assert text.count(escaped) == 5  # caption, column, two rows' names (the group once), footnote
    assert r"\label{tab:my-study-results}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {2}


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a--b", "a-{}-b"), ("---", "-{}-{}-"), ("a – b", "a -- b"), ("1−2", "1$-$2"), ("it's", "it's"), ("ü", "ü")],
)
def test_latex_sets_what_is_written(text: str, escaped: str) -> None:
    assert latex.escape(text) == escaped


def test_latex_says_what_it_needs_for_other_letters() -> None:
    grid = replace(_grid(), caption="Ångström, λ and 数")
    assert "% Has λ 数, for which pdfLaTeX has no letters" in latex.render([grid], study="s")
    assert "pdfLaTeX" not in latex.render([_grid()], study="s")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("cost $5, now $6", r"cost \$5, now \$6"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("- item", r"\- item"),
        ("+ item", r"\+ item"),
        ("12. item", r"12\. item"),
        ("1) item", r"1\) item"),
        ("1.5 - 2", "1.5 - 2"),
        ("-1", "-1"),
        ("# head", r"\# head"),
    ],
)
def test_markdown_shows_what_is_written(text: str, escaped: str) -> None:
    assert markdown.escape(text) == escaped


def test_markdown_keeps_its_columns() -> None:
    lines = [line for line in markdown.render("t", [_grid()]).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert not re.search(r"(?<!\\)<b>", "".join(lines))


class _Page(HTMLParser):
    """Checks that the page is well-formed, and counts the columns that each row of a table fills."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.widths: list[int] = []
        self.spanned: list[int] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "meta":
            return
        self.open.append(tag)
        if tag in ("thead", "tbody"):
            assert not self.spanned, "a cell spans rows beyond its group"
        if tag == "tr":
            self.spanned = [rows - 1 for rows in self.spanned if rows > 1]
            self.widths.append(len(self.spanned))
        if tag in ("td", "th"):
            self.widths[-1] += int(values.get("colspan") or 1)
            self.spanned += [int(values.get("rowspan") or 1)] * int(values.get("colspan") or 1)
            assert tag == "td" or values["scope"] in ("col", "row", "colgroup", "rowgroup")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("thead", "tbody"):
            assert set(self.spanned) <= {1}
            self.spanned = []

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes_and_is_well_formed() -> None:
    page = _Page()
    page.feed(html.render(HOSTILE, [_grid()]))
    assert page.open == []
    assert page.text.count(HOSTILE) >= 6
    assert set(page.widths) == {3}


def test_html_rows_are_complete_and_nothing_is_loaded(grow: Grow) -> None:
    tree = grow(datasets=("a", "b"), architectures=("x", "y"), seeds=(0, 1), logs=False)
    tree.manifest["rows"] = ["dataset", "architecture", "augmentation", "method"]
    tree.rewrite()
    study = study_rows.load(tree.study)
    found, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    text = table.tables(study, found, records=records, reported=reported.load())["table.html"]
    for part in re.findall(r"<table.*?</table>", text, flags=re.S):
        page = _Page()
        page.feed(part)
        assert len(set(page.widths)) == 1
        assert part.count("<caption") == 1
    whole = _Page()
    whole.feed(text)
    assert whole.links == [] and "url(" not in text and "<script" not in text and '<html lang="en">' in text
