"""docs/troubleshooting.md quotes messages that the code really has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<words>[^`]+)` \|", re.MULTILINE)


def literals(path: Path) -> Iterator[str]:
    """Yield the texts of a module; what an f-string fills in stands as an ellipsis."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def quoted() -> list[str]:
    return ROW.findall((ROOT / "docs/troubleshooting.md").read_text())


@pytest.fixture(scope="module")
def messages() -> str:
    python = [text for path in sorted((ROOT / "src").rglob("*.py")) for text in literals(path)]
    rules = [path.read_text() for path in sorted((ROOT / "workflow").rglob("*.smk"))]
    return "\n".join(python + rules)


@pytest.mark.parametrize("words", quoted() or [pytest.param("", marks=pytest.mark.skip("no row yet"))])
def test_a_quoted_message_is_in_the_code(words: str, messages: str):
    assert words in messages, "not in the code: quote the message as it is written there (… for what is filled in)"


def test_no_message_is_quoted_twice():
    assert len(set(quoted())) == len(quoted())
