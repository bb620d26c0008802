"""SHA256SUMS: what is listed, what is refused, and that `sha256sum` agrees."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ews.core import sums
from ews.core.errors import EwsError

AGAIN = "Measure again."


@pytest.fixture
def listed(tmp_path: Path) -> list[Path]:
    (tmp_path / "study").mkdir()
    paths = [tmp_path / "study" / "a.csv", tmp_path / "study" / "b b.json", tmp_path / "elsewhere.json"]
    for path in paths:
        path.write_text(path.name)
    sums.write(tmp_path / "study", paths)
    return paths


def test_what_was_written_passes(listed: list[Path]) -> None:
    sums.verify(listed[0].parent, listed, remedy=AGAIN)
    sums.verify(listed[0].parent, listed[:1], remedy=AGAIN)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_agrees(listed: list[Path]) -> None:
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", sums.SUMS], cwd=listed[0].parent, check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda paths: paths[0].write_text("a.csw"), r"a\.csv: was changed or damaged after it was written"),
        (lambda paths: paths[1].unlink(), r"b b\.json: no such file, though SHA256SUMS lists it"),
        (lambda paths: sums.write(paths[0].parent, paths[:2]), r"elsewhere\.json: not among the files that"),
        (lambda paths: (paths[0].parent / sums.SUMS).unlink(), "SHA256SUMS: no such file, so that nothing vouches"),
        (lambda paths: (paths[0].parent / sums.SUMS).write_text(""), "SHA256SUMS: damaged"),
        (lambda paths: (paths[0].parent / sums.SUMS).write_bytes(b"\xff"), "SHA256SUMS: cannot be read"),
    ],
)
def test_what_was_not_is_refused(listed: list[Path], change: Callable[[list[Path]], object], message: str) -> None:
    change(listed)
    with pytest.raises(EwsError, match=rf"{message}.*Measure again\."):
        sums.verify(listed[0].parent, listed, remedy=AGAIN)
