"""The command `ews study` at its edges."""

import subprocess
import sys
from pathlib import Path

import pytest

from ews.core.console import UNREAD
from ews.core.errors import EwsError
from ews.pipeline.study import study_command
from ews.pipeline.study.settings import Settings
from ews.pipeline.workflow import studies
from ews.pipeline.workflow.workflow_plan import Plan

ROOT = Path(__file__).parents[3]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    listing = f"{sys.executable} -m ews study list quickstart"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {listing} | true"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (UNREAD, "")


MINE = "studies:\n  mine: {dataset: digits, method: [vanilla, ews], seed: [0, 1], evaluations: [clean]}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped settings and a file of one's own."""
    (tmp_path / "data").mkdir()
    for name in ("params.yaml", "data/sources.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_in_a_file_of_ones_own_is_planned_as_the_workflow_plans_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    over = ["--configfile", "mine.yaml", "--config", "methods={ews: {width: 0.5}}"]
    study_command.main([*over, "list", "mine"])
    listed = capsys.readouterr().out.split()
    settings = Settings(configfiles=(Path("mine.yaml"),), entries=("methods={ews: {width: 0.5}}",))
    planned = Plan.of(settings.read().value)
    assert listed == [entry.results for entry in planned.studies["mine"]] and len(listed) == 4
    # The step of the workflow gets the whole as one file, and must find what was planned.
    given = ["--params", str(settings.file(settings.read())), "manifest", "mine"]
    study_command.main([*given, "--digest", studies.study_digest(planned, "mine"), "--out", "study.json"])
    assert '"width": 0.5' in (here / "study.json").read_text()
    with pytest.raises(EwsError, match="not what the workflow planned with"):
        study_command.main([*over[:2], "manifest", "mine", "--digest", "0" * 12, "--out", "other.json"])
    assert not (here / "other.json").exists()
    with pytest.raises(EwsError, match="unknown study 'mine'"):
        study_command.main(["list", "mine"])


def test_what_planning_finds_wrong_is_located(here: Path) -> None:
    (here / "mine.yaml").write_text(MINE.replace("[clean]}", "[clean], overrides: {methods.sam.rho: 1.0}}"))
    with pytest.raises(EwsError, match=r"^mine\.yaml, line 2, column 87: studies\.mine\.overrides: .*changes no cell"):
        study_command.main(["--configfile", "mine.yaml", "list", "mine"])


@pytest.mark.parametrize("content", ["", "# all of it\n", "\n\n", "null\n"])
def test_settings_without_content_are_said_to_be_empty(content: str, here: Path) -> None:
    (here / "params.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(EwsError, match=r"params\.yaml: is empty, or holds comments alone"):
        study_command.main(["--params", str(here / "params.yaml"), "check"])
