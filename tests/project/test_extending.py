"""What docs/extending.md says is enough: a copy of the project gets its code blocks as files, and works with them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.workflow import ROOT, Project, copy, evaluations

DOCUMENT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PAGE, MEASURED = re.findall(r"^```markdown\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
# By the folder of a kind of component, its list of entries.
LISTS = {
    "src/ews/methods": "METHODS",
    "src/ews/augment": "AUGMENTATIONS",
    "src/ews/models": "ARCHITECTURES",
    "src/ews/pipeline/evaluate": "EVALUATIONS",
}
STUDY = {
    **{"dataset": "digits", "architecture": "stack2", "augmentation": "invert", "method": ["shake", "shake+ews"]},
    **{"seed": 0, "evaluations": ["clean", "mirror"], "overrides": {"recipes.digits.standard.epochs": 1}},
}
# The tests that run over the registries, of the new entries where they can be chosen by name.
GENERAL = (
    "tests/methods/test_specs.py",
    "tests/augment/test_specs.py",
    "tests/models/test_specs.py",
    "tests/augment/test_independence.py",
    "tests/models/test_network.py",
    "tests/pipeline/study",
    "tests/project/test_component_pages.py",
)
CHOSEN = ("tests/pipeline/train/test_resume.py", "tests/pipeline/train/test_accelerator.py")


def blocks(language: str) -> dict[str, list[str]]:
    """Return the code blocks of the document by the file that their first line names."""
    found: dict[str, list[str]] = {}
    for text in re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL):
        first, rest = text.split("\n", 1)
        if first.startswith("# "):
            found.setdefault(first.removeprefix("# "), []).append(rest)
    return found


def merge(content: dict[str, Any], added: dict[str, Any]) -> None:
    """Add sections before those that are there, as the entries of the registries are added."""
    for key, sections in added.items():
        content[key] = {**sections, **content[key]}


def register(project: Project, spec: Path) -> None:
    """Add the line that the document names to the registry beside a component's folder, and its entry."""
    folder = spec.parent.parent
    module = ".".join(spec.with_suffix("").parts[1:])
    name = spec.parent.name.upper()
    line = f"from {module} import SPEC as {name}"
    assert f"`{line}`" in DOCUMENT
    (registry,) = (project.folder / folder).glob("*_registry.py")
    text = registry.read_text(encoding="utf-8")
    last = list(re.finditer(r"^from ews\..*$", text, flags=re.MULTILINE))[-1]
    text = f"{text[: last.end()]}\n{line}{text[last.end() :]}"
    # The first entry: `shake` comes before `ews`.
    start = re.search(rf'^{LISTS[str(folder)]}\b.*\(\n    ".*",$', text, flags=re.MULTILINE)
    assert start is not None
    registry.write_text(f"{text[: start.end()]}\n    {name},{text[start.end() :]}", encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project, its tests included, extended as the document says; nothing else in it is edited."""
    project = copy(tmp_path_factory.mktemp("extended"))
    for part in ("tests", "tools", "docs", "pyproject.toml", "README.md"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, project.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project.folder / part)
    for name, (text,) in blocks("python").items():
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        (path.parent / "__init__.py").write_text(f'"""The component `{path.parent.name}`."""\n', encoding="utf-8")
        if path.stem.endswith("_spec"):
            register(project, Path(name))
            (path.parent / f"{path.parent.name}.md").write_text(
                MEASURED if path.parents[1].name == "evaluate" else PAGE, encoding="utf-8"
            )
    path = project.folder / "params.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for text in blocks("yaml")["params.yaml"]:
        merge(content, yaml.safe_load(text))
    content["studies"]["extended"] = STUDY
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    run(project, "-m", "ews", "study", "schema", "--out", "workflow/schemas/params.schema.json")
    run(project, "tools/component_pages.py", "--write")
    return project


def run(project: Project, *arguments: str) -> str:
    """Run Python in the copy, on the copy's package, and return what it says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_document_shows_every_kind_of_component() -> None:
    specs = [Path(name) for name in blocks("python") if name.endswith("_spec.py")]
    assert sorted(str(spec.parent.parent) for spec in specs) == sorted(LISTS)


@pytest.mark.slow
def test_what_was_added_is_planned(extended: Project) -> None:
    assert "valid" in run(extended, "-m", "ews", "study", "check")
    planned = run(extended, "-m", "ews", "study", "list", "extended").split()
    assert [path.split("/")[:3] for path in planned] == [["digits", "stack2", "invert"]] * 2
    schema = (extended.folder / "workflow/schemas/params.schema.json").read_text(encoding="utf-8")
    assert all(f'"{key}"' in schema for key in ("sigma", "probability", "blocks", "axis"))
    dry = extended.snakemake("--dry-run", "results/extended/table.md", "results/extended/sweep.svg").stdout
    assert evaluations(dry) == {"clean": 2, "mirror": 2}


@pytest.mark.slow
def test_what_was_added_is_trained_measured_and_reported(extended: Project) -> None:
    extended.snakemake("results/extended/table.md")
    table = (extended.folder / "results/extended/table.md").read_text(encoding="utf-8")
    assert "shake+ews" in table and re.search("mirror error", table, flags=re.IGNORECASE)


@pytest.mark.slow
def test_tests_that_run_over_the_registries_cover_what_was_added(extended: Project) -> None:
    said = run(extended, "-m", "pytest", "-q", "--maxfail", "3", *GENERAL)
    assert " passed" in said and "failed" not in said
    said = run(extended, "-m", "pytest", "-q", "--maxfail", "3", "-k", "shake", *CHOSEN)
    assert " passed" in said and "failed" not in said
