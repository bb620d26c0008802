"""docs/extending.md, done word for word in a copy of the project: what it adds passes the registry-driven tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(python|yaml|markdown)\n(.*?)```\n", flags=re.DOTALL)
IMPORT = re.compile(r"`(from (ews\.(\w+)\.(\w+)\.\w+) import SPEC as (\w+))`")
# The last entry of each registry, behind which the new one goes.
LAST = {"methods": "    EWS,\n", "augment": "    AUGMIX,\n", "models": "    WIDE_RESNET,\n"}
SCHEMA = ["-m", "ews", "study", "schema", "--out", "workflow/schemas/params.schema.json"]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name}: {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def add_values(params: Path, block: str) -> None:
    """Put the values at the end of their section."""
    _, section, *values = block.splitlines(keepends=True)
    lines = params.read_text(encoding="utf-8").splitlines(keepends=True)
    begin = lines.index(section)
    end = next(number for number in range(begin + 1, len(lines)) if re.match(r"\w", lines[number]))
    while not lines[end - 1].startswith("  ") or lines[end - 1].lstrip().startswith("#"):
        end -= 1
    params.write_text("".join([*lines[:end], *values, *lines[end:]]), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy, with what the page adds."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("src", "tests", "tools", "docs", "workflow"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("params.yaml", "pyproject.toml", "data/sources.yaml"):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    page = ""
    for kind, block in BLOCK.findall(GUIDE):
        if kind == "markdown":
            page = block
        elif kind == "yaml":
            add_values(copy / "params.yaml", block)
        else:
            path = copy / block.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").write_text(f'"""{path.parent.name}."""\n', encoding="utf-8")
            path.write_text(block.split("\n", 1)[1], encoding="utf-8")
    for line, _, package, name, constant in IMPORT.findall(GUIDE):
        registry = copy / "src" / "ews" / package / "registry.py"
        replace(registry, "from ews.core.registry", f"{line}\nfrom ews.core.registry")
        replace(registry, LAST[package], f"{LAST[package]}    {constant},\n")
        (copy / "src" / "ews" / package / name / f"{name}.md").write_text(page, encoding="utf-8")
    for words in (["tools/component_pages.py", "--write"], SCHEMA):
        done = run(copy, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    return copy


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    return subprocess.run([sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True)


def test_the_page_adds_one_of_each() -> None:
    assert [package for _, _, package, _, _ in IMPORT.findall(GUIDE)] == ["methods", "augment", "models"]


@pytest.mark.parametrize(
    "tests",
    [
        ["tests/methods/test_specs.py", "tests/augment/test_specs.py", "tests/models/test_specs.py"],
        ["tests/augment/test_independence.py", "-k", "invert"],
        ["tests/project/test_component_pages.py", "tests/pipeline/study/test_schema.py"],
        ["tests/pipeline/train/test_resume.py", "-k", "shake"],
        ["tests/pipeline/train/test_accelerator.py", "-k", "shake"],
    ],
    ids=lambda tests: Path(tests[0]).stem if len(tests) != 3 else "specs",
)
def test_the_tests_that_run_over_registries_pass(project: Path, tests: list[str]) -> None:
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout[-4000:] + done.stderr


def test_the_new_names_can_be_planned(project: Path) -> None:
    replace(
        project / "params.yaml",
        "\nstudies:\n",
        "\nstudies:\n  mine: {dataset: digits, architecture: stack2, augmentation: invert, method: ews+shake}\n",
    )
    done = run(project, "-m", "ews", "study", "list", "mine")
    assert "digits/stack2/invert/ews-shake/seed0" in done.stdout, done.stdout + done.stderr
