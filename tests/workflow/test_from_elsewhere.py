"""The workflow run from another folder, and as a module of another workflow: with what is the user's there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.workflow import Project, copy, jobs, tiny

from ews.core.errors import EwsError
from ews.data import sources
from ews.data.sources import find, known_sources, manifests

MODULE = """
module ews:
    snakefile: "{workflow}"

use rule * from ews as ews_*

rule mine:
    default_target: True
    input:
        rules.ews_tiny.input,
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy, with the shipped parameters."""
    return copy(tmp_path / "project")


def elsewhere(project: Project, folder: Path, change: Callable[[dict[str, Any]], None] = tiny) -> Path:
    """Make a folder with parameters alone."""
    folder.mkdir()
    content = yaml.safe_load((project.folder / "params.yaml").read_text())
    change(content)
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    return folder


def own_source(folder: Path) -> None:
    """Give a folder a manifest with another description of the digits, and a source of its own."""
    shipped = yaml.safe_load((Path(__file__).parents[2] / "data/sources.yaml").read_text())
    (folder / "data").mkdir()
    own = {"digits": {**shipped["digits"], "title": "My digits"}, "mine": {**shipped["digits"], "title": "Mine"}}
    (folder / "data/sources.yaml").write_text(yaml.safe_dump(own))


def test_from_another_folder(project: Project, tmp_path: Path) -> None:
    folder = elsewhere(project, tmp_path / "other")
    options = ["-s", str(project.folder / "Snakefile"), "-d", str(folder)]
    planned = jobs(project.snakemake("-n", *options, "tiny", cwd=tmp_path).stdout)
    assert planned["train_cell"] == 3 and planned["dataset"] == planned["table"] == 1


def test_as_a_module_with_parameters_and_sources_of_its_own(project: Project, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        tiny(content)
        content["datasets"]["digits"]["source"] = "mine"

    folder = elsewhere(project, tmp_path / "other", change)
    own_source(folder)
    # The settings of the workflow around it are its own.
    (folder / "outer.yaml").write_text("own: 1\n")
    text = MODULE.format(workflow=project.folder / "workflow/Snakefile")
    (folder / "Snakefile").write_text(f'configfile: "outer.yaml"\n{text}\nassert config == {{"own": 1}}, config\n')
    planned = jobs(project.snakemake("-n", cwd=folder).stdout)
    assert planned["ews_train_cell"] == 3 and planned["mine"] == 1
    (folder / "Snakefile").write_text(text.replace("    snakefile:", "    config: {'seeds': [0]}\n    snakefile:"))
    done = project.snakemake("-n", cwd=folder, check=False)
    assert done.returncode == 1 and "error: `config:` of a module is not read here" in done.stdout


@pytest.mark.slow
def test_a_study_is_made_elsewhere(project: Project, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        tiny(content)
        content["studies"]["tiny"] |= {"method": "vanilla", "evaluations": ["clean"]}

    folder = elsewhere(project, tmp_path / "other", change)
    own_source(folder)
    (folder / "Snakefile").write_text(MODULE.format(workflow=project.folder / "workflow/Snakefile"))
    project.snakemake(cwd=folder)
    assert (folder / "results/tiny/table.md").is_file() and (folder / "results/tiny/training.svg").is_file()
    assert json.loads((folder / "data/digits/dataset.json").read_text())["source"]["title"] == "My digits"
    # Nothing was written into the project, and nothing is left to do.
    assert not (project.folder / "results").exists() and not (project.folder / "data/digits").exists()
    assert "Nothing to be done" in project.snakemake("-n", cwd=folder).stdout


def test_the_working_folders_manifest_counts_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert manifests() == [sources.SHIPPED]
    assert find(None, "digits").title != "My digits"
    own_source(tmp_path)
    found = known_sources()
    assert manifests() == [sources.SHIPPED, sources.MANIFEST]
    assert found["digits"].title == "My digits" and found["mine"].title == "Mine" and "cifar10" in found
    with pytest.raises(
        EwsError, match=r"sources\.yaml and data/sources\.yaml: unknown source 'min'. Did you mean 'mine'"
    ):
        find(None, "min")
    assert set(known_sources("data/sources.yaml")) == {"digits", "mine"}  # Named, it is the only one.
    monkeypatch.chdir(sources.SHIPPED.parents[1])
    assert manifests() == [sources.MANIFEST]


def test_without_any_manifest_the_usual_one_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "SHIPPED", tmp_path / "none.yaml")
    with pytest.raises(EwsError, match=r"^data/sources\.yaml: "):
        known_sources()
