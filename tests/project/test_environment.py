"""The ways to install the project agree, and the package keeps to what it may import."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import lock  # noqa: E402

SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_conda_gets_the_locked_versions() -> None:
    expected = lock.conda((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    for path in lock.CONDA:
        assert path.read_text(encoding="utf-8") == expected, "run: python tools/lock.py --conda-only"


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {re.split("==", pin)[0] for pin in lock.pins(text)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    direct = {re.split("[<>=]", requirement)[0] for requirement in requirements}
    assert {"torch", "snakemake", "dvc", "pytest"} <= direct <= pinned
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_torch_and_torchvision_are_the_indexs_own_builds() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in ("torch", "torchvision"):
        (version,) = re.findall(rf"^{name}==(\S+)", text, flags=re.MULTILINE)
        assert re.fullmatch(r"[0-9.]+", version)
    assert not re.search(r"file:|@ |--find-links|--index-url", text)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    reasons = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    names = [re.split("[<>=]", requirement)[0] for requirement in project["project"]["dependencies"]]
    assert "torch" in names
    assert not [name for name in names if name not in reasons]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_package_knows_no_workflow_engine_and_unpickles_nothing(path: Path) -> None:
    assert not imports(path) & {"snakemake", "dvc", "dill", "joblib", "shelve"}
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"torch\.load\((?!.*weights_only=True)", text.replace("\n", " "))
    assert not re.search(r"pickle\.loads?\(|Unpickler\(", text)
    assert not re.search(r"allow_pickle\s*=\s*True|weights_only\s*=\s*False", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
