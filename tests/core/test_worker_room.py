"""Worker processes where the machine has little shared memory, and workers that hang."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from ews.core import worker_room
from ews.core.worker_room import fitting_workers, worker_fault

PAGE = os.sysconf("SC_PAGE_SIZE")


def give(monkeypatch: pytest.MonkeyPatch, *, pages: int, flags: int = 0) -> None:
    """Let every folder look like a file system with so many free pages."""
    state = SimpleNamespace(f_bavail=pages, f_frsize=PAGE, f_flag=flags)
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    monkeypatch.setattr(worker_room.sys, "platform", "linux")
    worker_room.say_once.cache_clear()


@pytest.mark.parametrize(
    ("pages", "asked", "fit"),
    [(16, 2, 1), (16, 1, 1), (0, 4, 0), (15, 4, 0), (64 * 256, 32, 32), (25, 8, 4), (5, 0, 0)],
)
def test_as_many_as_have_room_and_a_line_where_fewer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pages: int,
    asked: int,
    fit: int,
) -> None:
    give(monkeypatch, pages=pages)
    assert fitting_workers(asked, shared=tmp_path) == fit
    assert fitting_workers(asked, shared=tmp_path) == fit
    said = capsys.readouterr().err
    assert said.count("\n") == (fit < asked), "once, and only where something is other than asked for"
    if fit < asked:
        assert f"has room for {fit} of {asked} worker processes" in said and "--shm-size" in said


def test_none_where_it_can_only_be_read_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitting_workers(2, shared=tmp_path / "none") == 0
    give(monkeypatch, pages=10**6, flags=os.ST_RDONLY)
    assert fitting_workers(2, shared=tmp_path) == 0
    monkeypatch.setattr(worker_room.sys, "platform", "darwin")
    assert fitting_workers(2, shared=tmp_path / "none") == 2


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ..."),
        RuntimeError("DataLoader timed out after 600 seconds"),
        OSError(28, "No space left on device"),
        TimeoutError(),
    ],
)
def test_a_worker_s_end_is_a_sentence(problem: OSError | RuntimeError) -> None:
    said = str(worker_fault(problem))
    assert "\n" not in said and re.search(r"a worker process|The disk is full", said)


def test_a_bug_stays_one() -> None:
    assert worker_fault(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")) is None
