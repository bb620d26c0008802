"""The record names the code's revision, and whether the code was changed since."""

import subprocess
from pathlib import Path

import pytest
import torch

import ews
from ews.core import machine
from ews.core.machine_types import Git


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_revision_and_dirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "ews"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(ews, "__file__", str(package / "__init__.py"))
    assert machine.git() is None
    git(tmp_path, "init")
    assert machine.git() is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    found = machine.git()
    assert found is not None and len(found.revision) == 40 and not found.dirty
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table.csv").write_text("x")
    assert machine.git() == found
    (package / "new.py").write_text("")
    assert machine.git() == Git(revision=found.revision, dirty=True)


def test_hardware_and_memory() -> None:
    cpu = torch.device("cpu")
    hardware = machine.hardware(cpu, threads=2)
    assert hardware.device == "cpu" and hardware.gpu is None and hardware.threads == 2 and hardware.cpu
    # A process that has imported torch holds between 50 MB and 50 GB.
    assert 5e7 < machine.peak_memory(cpu)["cpu"] < 5e10
    assert set(machine.versions()) == {"python", "torch", "torchvision", "numpy", "ews"}
