"""How a command ends on a mistake: one message, exit status 1, no traceback."""

from pathlib import Path

import pytest

from ews.core.console import finished


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    def main() -> None:
        (tmp_path / "file" / "below").mkdir()

    with pytest.raises(SystemExit) as stop:
        finished(main)
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/file/below: Not a directory. Check the path.\n"


def test_other_mistakes_keep_their_traceback() -> None:
    def main() -> None:
        raise OSError("no file is to blame")

    with pytest.raises(OSError, match="no file is to blame"):
        finished(main)
