"""docs/coverage.md: every study is in it, and what it names is a study, planned with what it says."""

import re
from pathlib import Path

import pytest

from ews.pipeline.study.params import load

ROOT = Path(__file__).parents[2]
STUDIES = load(ROOT / "params.yaml").studies
TEXT = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split(" | ") for line in TEXT.splitlines() if line.startswith("| ") and "---" not in line]
STATES = ("planned", "in miniature", "missing", "reported only", "an illustration", "shown by a test", "tested")


def named(cells: list[str]) -> set[str]:
    """Return what stands in backticks in some cells and is spelled like a study."""
    return {name for cell in cells for name in re.findall(r"`([a-z0-9_]+)`", cell)}


def test_every_study_is_named() -> None:
    assert set(STUDIES) - named([cell for row in ROWS for cell in row]) == set()


def test_what_the_second_column_names_are_studies() -> None:
    allowed = {"ews"}  # "all studies with `ews`"
    assert named([row[1] for row in ROWS]) - allowed - set(STUDIES) == set()


@pytest.mark.parametrize("row", [row for row in ROWS if row[2] != "state"], ids=lambda row: row[0].strip()[:40])
def test_every_row_says_its_state(row: list[str]) -> None:
    assert len(row) == 4
    assert row[2].startswith(STATES) or row[2].startswith("the supplement")
    committed = {name for name in named([row[1], row[2]]) if (ROOT / "results" / name / "table.md").is_file()}
    assert bool(committed) == row[2].startswith("in miniature")
