"""The documentation's links lead somewhere, the lines that they name are right, and its defaults are the project's."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import doc_links  # noqa: E402

SOURCE = '''"""A module."""

LIMIT: int = 3


class Search:
    width = 0.7

    @property
    def kept(self) -> int:
        return 1


def sample() -> None:
    pass
'''


@pytest.mark.parametrize("document", doc_links.documents(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_where_they_say(document: Path) -> None:
    broken = [f"{document.name}:{link.line}: {link.target}: {link.problem}" for link in doc_links.check(document)]
    advice = "\nLine numbers: python tools/doc_links.py --write"
    assert not broken, "\n".join(broken) + advice


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A place for a document beside a module and another document."""
    (tmp_path / "search.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "other.md").write_text(
        "# A title\n\n```sh\n# no heading\n```\n\n## `kept.csv`, twice\n", encoding="utf-8"
    )
    return tmp_path / "document.md"


@pytest.mark.parametrize(
    "link",
    [
        "[`Search`](search.py#L6)",
        "[`Search.kept`](search.py#L10)",
        "[`Search.width`](search.py#L7)",
        "[`sample()`](search.py#L14)",
        "[`LIMIT`](search.py#L3)",
        "[the last line](search.py#L15)",
        "[`search.py`](search.py)",
        "[title](other.md#a-title)",
        "[counts](other.md#keptcsv-twice)",
        "[itself](#here)\n\n## Here",
        "[far](https://example.org/no/file#L1)",
        "```md\n[`gone`](gone.py)\n```",
    ],
)
def test_good_links_pass(link: str, document: Path) -> None:
    document.write_text(f"Text.\n\n{link}\n", encoding="utf-8")
    assert list(doc_links.check(document)) == []


@pytest.mark.parametrize(
    ("link", "problem", "right"),
    [
        ("[`gone`](gone.py)", "no file gone.py", None),
        ("[here](search.py#L16)", "15 lines", None),
        ("[here](search.py#L0)", "no line or heading #L0", None),
        ("[`Search.kept`](search.py#L9)", "in line 10", "search.py#L10"),
        ("[`sample()`](search.py#L99)", "in line 14", "search.py#L14"),
        ("[`kept`](search.py#L10)", "defines no kept", None),
        ("[title](other.md#no-heading)", "#no-heading", None),
        ("[title](#nowhere)", "this document", None),
    ],
)
def test_broken_links_are_found_and_named(link: str, problem: str, right: str | None, document: Path) -> None:
    document.write_text(f"Text [`Search`](search.py#L6).\n\n{link}\n", encoding="utf-8")
    (broken,) = doc_links.check(document)
    assert problem in broken.problem
    assert (broken.line, broken.right) == (3, right)


def test_line_numbers_are_set_right_and_nothing_else(document: Path) -> None:
    text = "A [`Search`](search.py#L{}), [there](search.py#L2) and [`gone`](gone.py); [`sample`](search.py#L{}).\n"
    document.write_text(text.format(1, 100), encoding="utf-8")
    assert doc_links.mend(document) == 2
    assert document.read_text(encoding="utf-8") == text.format(6, 14)
    assert doc_links.mend(document) == 0


def test_defaults_of_ews_are_those_of_params() -> None:
    """The table in docs/ews.md: | `key` | symbol | value | ..., one row for every key."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["methods"]["ews"]
    section = (ROOT / "docs/ews.md").read_text(encoding="utf-8").split("\n## Defaults\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", section, flags=re.MULTILINE)
    assert {key: yaml.safe_load(value) for key, value in rows} == params
    assert len(rows) == len(params)


def test_git_ignores_the_report_that_the_readme_has_one_make() -> None:
    made = re.findall(r"snakemake --report (\S+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert made and all(f"/{name}" in ignored for name in made)
