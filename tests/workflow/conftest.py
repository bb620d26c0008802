"""Copies of the project: fresh, or with a tiny study built."""

from pathlib import Path

import pytest
from helpers.workflow import CORRUPTIONS, Project, copy, duplicate, make_runs, tiny


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project with its shipped params.yaml."""
    return copy(tmp_path)


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the tiny study's data and runs are made, the runs without Snakemake; not to be changed."""
    project = copy(tmp_path_factory.mktemp("measured"))
    project.params(tiny)
    project.snakemake("data/digits/dataset.json", *(f"data/digits-c/{name}.npy" for name in (*CORRUPTIONS, "labels")))
    make_runs(project, "tiny")
    return project.folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the tiny study is built; not to be changed."""
    project = copy(tmp_path_factory.mktemp("built"))
    project.params(tiny)
    project.snakemake()
    return project.folder


@pytest.fixture
def finished(built: Path, tmp_path: Path) -> Project:
    """A copy in which the tiny study is built, to edit; at another path, with other dates."""
    return duplicate(built, tmp_path / "copy")
