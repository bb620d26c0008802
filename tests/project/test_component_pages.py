"""Pages of methods, augmentations, networks and evaluations agree with what their specs say."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import component_pages  # noqa: E402

PAGES = component_pages.pages()
SECTIONS = ["How to use it", "Hyper-parameters", "What is known of its results"]
MEASURED = ["How to use it", "Parameters", "What it writes", "What tables show of it"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(component_pages.SRC)))
def test_a_page_has_its_sections_and_the_table_of_its_spec(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == (
        MEASURED if path.parents[1].name == "evaluate" else SECTIONS
    )
    advice = "python tools/component_pages.py --write"
    assert component_pages.updated(text, PAGES[path], where=path) == text, advice


def test_every_folder_of_a_component_has_a_page_that_is_checked() -> None:
    folders = {spec.parent for spec in component_pages.SRC.glob("**/*_spec.py")}
    kinds = ("methods", "augment", "models", "evaluate")
    assert {path.parent for path in PAGES} == {folder for folder in folders if folder.parent.name in kinds}


def test_a_value_is_written_as_in_params() -> None:
    table = PAGES[component_pages.SRC / "methods" / "mixacm" / "mixacm.md"]
    assert "| `validation_epsilon` | `8/255` | number, ≥ 0, ≤ 1 or grey levels |" in table
    assert "| `stages` | `[-3, -2, -1]` | list of whole number, ≤ -1 |" in table
    assert "| `validation_images` | null | whole number, ≥ 1 or null |" in table
    assert "| `teachers.robust` | `at`, best |" in table


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mine\.md: needs the lines"):
        component_pages.updated("# Mine\n", "", where=Path("mine.md"))
