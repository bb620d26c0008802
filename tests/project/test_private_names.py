"""Tests and benchmarks use what modules offer: none reaches for a private name of the package."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRIVATE = re.compile(r"_[A-Za-z]\w*")
OWN = {"self", "cls"}


def is_private(name: str) -> bool:
    return PRIVATE.fullmatch(name) is not None


@cache
def private_names() -> frozenset[str]:
    """The private names that the package defines: of modules, functions, classes and attributes."""
    found = set()
    for path in (ROOT / "src" / "ews").rglob("*.py"):
        found |= {path.stem, path.parent.name}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return frozenset(filter(is_private, found))


def other_modules(tree: ast.Module) -> set[str]:
    """The names that a source gives to modules of other packages: by ``import`` or by ``pytest.importorskip``."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            call = node.value
            if ast.unparse(call.func) == "pytest.importorskip" and isinstance(call.args[0], ast.Constant):
                found |= {ast.unparse(target): str(call.args[0].value) for target in node.targets}
    return {name for name, module in found.items() if module.split(".")[0] != "ews"}


def reaches(source: str, names: frozenset[str]) -> Iterator[str]:
    """Yield ``line: name`` wherever a source reaches for one of the names: by dot, by import, or as text.

    Text counts where it may be a path to a name: dotted, or an argument of ``setattr``, ``getattr`` and the like. What
    another package's module calls alike is not the name.
    """
    tree = ast.parse(source)
    others = OWN | other_modules(tree)
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in others):
            found = [node.attr]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ews":
            found = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("setattr", "getattr", "delattr"):
            found = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = re.findall(r"(?<=\.)_[A-Za-z]\w*", node.value)
        yield from (f"{node.lineno}: {name}" for name in found if name in names)


@pytest.mark.parametrize(
    "path",
    sorted(path for folder in ("tests", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_private_name_is_used(path: Path) -> None:
    assert not list(reaches(path.read_text(encoding="utf-8"), private_names()))


@pytest.mark.parametrize(
    "source",
    [
        "thing._secret",
        "make()._secret.more",
        "thing._secret = 1",
        "from ews.core import _secret",
        "from ews._secret import name",
        "patch.setattr(thing, '_secret', 1)",
        "getattr(thing, '_secret')",
        "patch.setattr('ews.core._secret', 1)",
        "run('import ews.core as c; c._secret()')",
        "import ews.core as thing; thing._secret",
    ],
)
def test_what_reaches_is_found(source: str) -> None:
    assert list(reaches(source, frozenset({"_secret"}))) == ["1: _secret"]


@pytest.mark.parametrize(
    "source",
    [
        "self._secret",
        "_secret = 1",
        "torch._C",
        "thing.secret",
        "'_secret'",
        "import torch as thing; thing._secret",
        "thing = pytest.importorskip('torch'); thing._secret",
    ],
)
def test_what_does_not_reach_passes(source: str) -> None:
    assert not list(reaches(source, frozenset({"_secret"})))


def test_the_private_names_of_the_package_are_found() -> None:
    """Where most would be missed, the test above would pass whatever the tests do."""
    assert len(private_names()) > 200
