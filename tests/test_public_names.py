"""`import ews`: the public names are there, and nothing heavy is imported before one of them is used."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

import ews
from ews.cli import entry as entry_of_the_command


@pytest.mark.parametrize("name", ews.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert callable(getattr(ews, name)) and name in dir(ews)


def test_another_name_lists_the_valid_ones() -> None:
    with pytest.raises(AttributeError, match="'ews' has no attribute 'corupt'; it has EwsError, autoattack, corrupt"):
        ews.corupt  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_brings_nothing_heavy() -> None:
    code = "import json, sys, ews; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert not {"torch", "numpy", "cv2", "pydantic", "pandas"} & set(loaded)


def test_the_installed_command_is_the_package_s() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="ews")
    assert entry.load() is entry_of_the_command
