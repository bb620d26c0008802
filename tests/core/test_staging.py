"""Files are whole or not there, together where they belong together, and what a killed writer left is swept."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from ews.core import staging as module
from ews.core.errors import EwsError
from ews.core.faults import TEMPORARY
from ews.core.files import atomic, exclusive, staged, write_all, write_text
from ews.core.staging import ABANDONED, LOCK, NAME, commit, staging, sweep

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """Start work in a process of its own that then waits to be killed; yield its number once the work is done."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(write, b"x")
            time.sleep(600)
        finally:
            os._exit(1)
    os.read(read, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def begin(folder: Path) -> object:
    """Begin to write a file, and keep what holds it."""
    writer = atomic(folder / "images.npy")
    writer.__enter__().write_text("half")
    KEPT.append(writer)
    return writer


KEPT: list[object] = []


def test_a_killed_writer_s_file_goes_with_the_next_one_and_a_live_one_s_stays(tmp_path: Path) -> None:
    with forked(lambda: begin(tmp_path)):
        (room,) = names(tmp_path)
        assert NAME.fullmatch(room)
        write_text(tmp_path / "other.txt", "whole")
        with atomic(tmp_path / "images.npy") as temporary:
            temporary.write_text("whole")
        assert names(tmp_path) == [room, "images.npy", "other.txt"], "its writer lives"
        assert (tmp_path / room / "images.npy").read_text() == "half"
    assert room in names(tmp_path), "killed: nobody has cleared up"
    write_text(tmp_path / "other.txt", "again")
    assert texts(tmp_path) == {"images.npy": "whole", "other.txt": "again"} and len(names(tmp_path)) == 2


def test_two_writers_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    with atomic(tmp_path / "a") as first, atomic(tmp_path / "a") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert texts(tmp_path) == {"a": "first"}, "who ends last wins"
    assert names(tmp_path) == ["a"]


def leftover(folder: Path, host: str, boot: str) -> Path:
    room = folder / f"{TEMPORARY}{host}-{boot}-abcd_123"
    room.mkdir()
    (room / "table.csv").write_text("half")
    (room / LOCK).touch()
    return room


def test_another_machine_s_is_left_for_a_week(tmp_path: Path) -> None:
    """On a shared disk a lock of another machine may not be seen from here."""
    room = leftover(tmp_path, "elsewhere", "0123456789ab")
    sweep(tmp_path)
    assert room.exists()
    os.utime(room, (0, time.time() - ABANDONED - 60))
    with FileLock(room / LOCK):
        sweep(tmp_path)
        assert room.exists(), "its lock is seen"
    sweep(tmp_path)
    assert not room.exists()


@pytest.mark.parametrize("same", ["host", "boot"])
def test_this_machine_s_is_swept_before_and_after_a_start_and_from_any_container(tmp_path: Path, same: str) -> None:
    with staging(tmp_path) as own:
        parts = NAME.fullmatch(own.name)
    assert parts is not None
    if parts["boot"] == "_" and same == "boot":
        pytest.skip("the kernel has no identity here")
    room = leftover(tmp_path, **{"host": "elsewhere", "boot": "0123456789ab", same: parts[same]})
    (room / LOCK).unlink()
    sweep(tmp_path)
    assert not room.exists()


def test_what_is_not_ours_is_never_swept(tmp_path: Path) -> None:
    for name in (f"{TEMPORARY}notes", ".table.csv.x.csv", ".clean.json.partial", "ews-tmp-a-b-c"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f"{TEMPORARY}a-b-cdefghij").touch()
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    sweep(tmp_path / "not there")


def test_git_and_dvc_ignore_it(tmp_path: Path) -> None:
    with staging(tmp_path) as room:
        name = room.name
    shutil.copy(ROOT / ".gitignore", tmp_path / ".gitignore")
    git = ["git", "-C", str(tmp_path), "-c", f"core.excludesFile={ROOT / '.dvcignore'}"]
    subprocess.run([*git, "init", "-q"], check=True)
    ignored = [f"results/table4/{name}/table.csv", f"data/cifar10/{name}/train_images.npy"]
    for rules in (".gitignore", str(ROOT / ".dvcignore")):
        done = subprocess.run([*git, "check-ignore", "-v", *ignored], capture_output=True, text=True)
        assert done.stdout.count(f"{TEMPORARY}*/") == 2, rules
        (tmp_path / ".gitignore").unlink(missing_ok=True)  # next by DVC's rules alone


# ---- all or none


def old_and_new(folder: Path) -> None:
    for name in ("a.csv", "b.csv", "z.json"):
        (folder / name).write_text("old")


def test_files_that_belong_together_change_together(tmp_path: Path) -> None:
    old_and_new(tmp_path)
    (tmp_path / "another").write_text("stays")
    with staged(tmp_path, last="z.json") as new:
        for name in ("b.csv", "z.json", "c.csv"):
            write_text(new / name, "new")
        assert texts(tmp_path)["b.csv"] == "old"
    assert texts(tmp_path) == {"a.csv": "old", "another": "stays"} | dict.fromkeys(("b.csv", "c.csv", "z.json"), "new")
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_an_error_leaves_all_as_it_was(tmp_path: Path) -> None:
    old_and_new(tmp_path)
    with pytest.raises(ValueError), staged(tmp_path, last="z.json") as new:
        write_text(new / "a.csv", "new")
        raise ValueError
    assert texts(tmp_path) == dict.fromkeys(("a.csv", "b.csv", "z.json"), "old") and len(names(tmp_path)) == 3


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize(
    "problem", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"]
)
def test_a_name_that_cannot_change_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, problem: BaseException
) -> None:
    """Whichever of the six renames fails: three old files leave, three new ones come."""
    old_and_new(tmp_path)
    real, count = Path.rename, iter(range(100))

    def rename(self: Path, target: Path) -> Path:
        if next(count) == number:
            raise problem
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((EwsError, KeyboardInterrupt)):
        write_all({tmp_path / name: "new" for name in ("a.csv", "b.csv", "z.json")})
    assert next(count) == number + 1
    assert texts(tmp_path) == dict.fromkeys(("a.csv", "b.csv", "z.json"), "old") and len(names(tmp_path)) == 3


@pytest.mark.parametrize("number", range(6))
def test_killed_between_two_names_nothing_passes_for_whole(tmp_path: Path, number: int) -> None:
    """Old and new never stand side by side, and the file that vouches comes last."""
    old_and_new(tmp_path)

    def work() -> None:
        real, count = Path.rename, iter(range(100))

        def rename(self: Path, target: Path) -> Path:
            if next(count) == number:
                os.write(self_pipe[1], b"x")
                time.sleep(600)
            return real(self, target)

        module.Path.rename = rename  # type: ignore[method-assign]
        write_all({tmp_path / name: "new" for name in ("a.csv", "b.csv", "z.json")})

    self_pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    os.read(self_pipe[0], 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for end in self_pipe:
        os.close(end)
    there = texts(tmp_path)
    assert len(set(there.values())) <= 1, there
    assert ("z.json" in there) == (number == 0)
    write_all({tmp_path / name: "again" for name in ("a.csv", "b.csv", "z.json")})
    assert texts(tmp_path) == dict.fromkeys(("a.csv", "b.csv", "z.json"), "again") and len(names(tmp_path)) == 3


def test_files_in_several_folders_change_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "a", tmp_path / "two" / "b"
    write_all({one: "1", two: b"2"})  # type: ignore[arg-type]
    assert (one.read_text(), two.read_text()) == ("1", "2")
    (tmp_path / "two" / "c").mkdir()
    with pytest.raises(EwsError, match="two/c: cannot be written: Is a directory"):
        write_all({one: "3", tmp_path / "two" / "c": "4"})
    assert one.read_text() == "1"
    assert names(tmp_path / "one") == ["a"] and names(tmp_path / "two") == ["b", "c"]


def test_a_single_file_is_never_missing(tmp_path: Path) -> None:
    """The old one is replaced at once."""
    (tmp_path / "a").write_text("old")
    with staging(tmp_path) as room:
        (room / "a").write_text("new")
        commit([(room / "a", tmp_path / "a")])
        assert not (room / "a.old").exists()
    assert texts(tmp_path) == {"a": "new"}


# ---- what cannot be written


def test_a_message_has_the_file_s_own_name_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EwsError, match=r"file/below/table\.csv: cannot be written: Not a directory\. Check the path"):
        write_text(tmp_path / "file" / "below" / "table.csv", "x")
    with pytest.raises(EwsError, match=r"table\.csv: cannot be written: No space left on device\. The disk is full"):
        with staged(tmp_path, last="z.json") as new, atomic(new / "table.csv"):
            raise OSError(28, "No space left on device")
    with pytest.raises(EwsError) as caught, staged(tmp_path, last="z.json") as new, atomic(new / "table.csv"):
        raise OSError(28, "No space left on device")
    assert TEMPORARY not in str(caught.value)


def test_what_the_block_reads_is_not_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "copy"):
        (tmp_path / "original").read_bytes()
    assert names(tmp_path) == []


def test_a_folder_without_permission_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    try:
        if user == 0:
            os.chmod(folder, 0o555)
            os.seteuid(65534)
        for write in (lambda: write_text(folder / "a", "x"), lambda: exclusive(folder / "run").__enter__()):
            with pytest.raises(EwsError, match=r"shut/\w+: cannot be written: Permission denied\. You lack"):
                write()
    finally:
        os.seteuid(user)
