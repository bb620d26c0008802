"""Generation that is killed resumes where it was, ends with the same bytes, and never continues another's work."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import reseal

from ews.core import finished
from ews.core.errors import EwsError
from ews.core.files import exclusive, sha256
from ews.corruptions import corrupt
from ews.images import pieces
from ews.pipeline.corrupt import generate_corrupted
from ews.pipeline.corrupt.generate_corrupted import corrupt_file

NAME = "gaussian_noise"
SETTINGS = {"name": NAME, "seed": 3, "profile": "cifar", "source": "test"}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a file of 20 images; with small pieces, 25 of them."""
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
    return path


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces of 4 images, each noted when it is done."""
    monkeypatch.setattr(generate_corrupted, "PIECE", 4 * 32 * 32 * 3)
    monkeypatch.setattr(pieces, "NOTE_SECONDS", 0.0)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes the work end after so many pieces, or counts those that are done."""
    run_all = pieces.run_all
    done: list[object] = []

    def limit(count: int | None) -> list[object]:
        done.clear()

        def limited(task, items, *, workers: int):
            def piece(item: object) -> None:
                if count is not None and len(done) == count:
                    raise Killed
                done.append(item)
                return task(item)

            return run_all(piece, items, workers=workers)

        monkeypatch.setattr(pieces, "run_all", limited)
        return done

    return limit


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_done_is_not_done_again(images: Path, tmp_path: Path, stop_after) -> None:
    corrupt_file(images, tmp_path / "whole" / "set.npy", workers=1, **SETTINGS)
    out = tmp_path / "broken" / "set.npy"
    with stop_after(11) is None or pytest.raises(Killed):
        corrupt_file(images, out, workers=1, **SETTINGS)
    assert names(out.parent) == [".set.npy.partial"]
    done = stop_after(None)
    corrupt_file(images, out, workers=1, **SETTINGS)
    assert len(done) == 25 - 11
    assert names(out.parent) == names(tmp_path / "whole") == ["set.json", "set.npy"]
    for file in ("set.npy", "set.json"):
        assert (out.parent / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    clean = np.load(images)
    made = np.load(out).reshape(5, 20, 32, 32, 3)
    for severity in range(1, 6):
        np.testing.assert_array_equal(made[severity - 1], corrupt(clean, name=NAME, severity=severity, seed=3))
    assert json.loads(out.with_suffix(".json").read_text())["sha256"] == sha256(out)


@pytest.mark.parametrize("change", ["seed", "profile", "images", "code", "piece", "truncated", "note"])
def test_work_of_other_settings_or_damaged_begins_anew(
    images: Path, tmp_path: Path, stop_after, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    out = tmp_path / "set" / "set.npy"
    with stop_after(11) is None or pytest.raises(Killed):
        corrupt_file(images, out, workers=1, **SETTINGS)
    settings = dict(SETTINGS)
    partial = out.with_name(".set.npy.partial")
    (half,) = partial.glob("*.npy")
    expected_pieces = 25
    if change == "seed":
        settings["seed"] = 4
    elif change == "profile":
        settings["profile"] = "tiny"
    elif change == "images":
        np.save(images, 255 - np.load(images))
    elif change == "code":
        monkeypatch.setattr(generate_corrupted, "code_of", lambda name: "0123456789abcdef")
    elif change == "piece":
        monkeypatch.setattr(generate_corrupted, "PIECE", 5 * 32 * 32 * 3)
        expected_pieces = 20
    elif change == "truncated":
        half.write_bytes(half.read_bytes()[:-1])
    else:
        (partial / "state.json").write_text("{")
    done = stop_after(None)
    corrupt_file(images, out, workers=1, **settings)
    assert len(done) == expected_pieces
    assert names(out.parent) == ["set.json", "set.npy"]
    expected = corrupt(np.load(images), name=NAME, severity=2, seed=settings["seed"], profile=settings["profile"])
    np.testing.assert_array_equal(np.load(out)[20:40], expected)


@pytest.mark.parametrize("piece", [0, 5, 10, 11, None])
def test_what_was_damaged_since_is_made_again(
    images: Path, tmp_path: Path, stop_after, capfd: pytest.CaptureFixture[str], piece: int | None
) -> None:
    """One bit of a piece that was done, or of one that was not; None: of the array's header."""
    corrupt_file(images, tmp_path / "whole" / "set.npy", workers=1, **SETTINGS)
    out = tmp_path / "set" / "set.npy"
    with stop_after(11) is None or pytest.raises(Killed):
        corrupt_file(images, out, workers=1, **SETTINGS)
    (half,) = out.with_name(".set.npy.partial").glob("*.npy")
    content = bytearray(half.read_bytes())
    size = 4 * 32 * 32 * 3
    content[3 if piece is None else len(content) - (25 - piece) * size + 100] ^= 1
    half.write_bytes(content)
    done = stop_after(None)
    corrupt_file(images, out, workers=1, **SETTINGS)
    assert len(done) == 25 - (piece or 0)
    assert (": damaged: of 11" in capfd.readouterr().err) == (piece not in (11, None))
    assert out.read_bytes() == (tmp_path / "whole" / "set.npy").read_bytes()


def test_a_kill_between_the_name_and_the_end_costs_nothing(
    images: Path, tmp_path: Path, stop_after, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has its name, and the folder of the partial work is still there."""
    out = tmp_path / "set" / "set.npy"
    replace = Path.replace

    def rename(self: Path, target: Path) -> Path:
        renamed = replace(self, target)
        if Path(target) == out:
            raise Killed
        return renamed

    monkeypatch.setattr(Path, "replace", rename)
    with pytest.raises(Killed):
        corrupt_file(images, out, workers=1, **SETTINGS)
    monkeypatch.undo()
    before = sha256(out)
    done = stop_after(None)
    monkeypatch.setattr(generate_corrupted, "PIECE", 4 * 32 * 32 * 3)
    corrupt_file(images, out, workers=1, **SETTINGS)
    assert done == []
    assert names(out.parent) == ["set.json", "set.npy"]
    assert sha256(out) == before


@pytest.mark.parametrize("change", [None, "file", "record", "no record", "sha256", "code", "seed", "images", "profile"])
def test_a_finished_file_is_made_again_only_if_something_changed(
    images: Path, tmp_path: Path, stop_after, monkeypatch: pytest.MonkeyPatch, change: str | None
) -> None:
    out = tmp_path / "set" / "set.npy"
    corrupt_file(images, out, workers=1, **SETTINGS)
    settings, record = dict(SETTINGS), out.with_suffix(".json")
    assert json.loads(record.read_text())["code"] == generate_corrupted.code_of(NAME)
    written = out.stat().st_mtime_ns
    if change == "file":
        content = bytearray(out.read_bytes())
        content[-1] ^= 1
        out.write_bytes(content)
    elif change == "record":
        record.write_text("[]")
    elif change == "no record":
        record.unlink()
    elif change == "sha256":
        reseal(record, lambda content: content.update(sha256="0" * 64))
    elif change == "code":
        monkeypatch.setattr(generate_corrupted, "code_of", lambda name: "0123456789abcdef")
    elif change == "seed":
        settings["seed"] = 4
    elif change == "profile":
        settings["profile"] = "tiny"
    elif change == "images":
        np.save(images, 255 - np.load(images))
    done = stop_after(None)
    corrupt_file(images, out, workers=1, **settings)
    assert len(done) == (25 if change else 0)
    assert (out.stat().st_mtime_ns == written) == (change is None)
    assert names(out.parent) == ["set.json", "set.npy"]
    expected = corrupt(np.load(images), name=NAME, severity=5, seed=settings["seed"], profile=settings["profile"])
    np.testing.assert_array_equal(np.load(out)[80:], expected)
    assert json.loads(record.read_text())["sha256"] == sha256(out)


@pytest.mark.parametrize(
    ("place", "name", "pieces_again"),
    [
        (None, None, 0),
        (pieces, "sha256", 0),
        (finished, "link", 0),
        (finished, "write_sealed", 0),
        (finished.Finished, "place", 0),
        (pieces.partial_work, "remove", 0),
    ],
    ids=["not killed", "record", "link", "list", "place", "end"],
)
def test_a_set_whose_files_are_deleted_at_its_end_is_not_made_again(
    images: Path,
    tmp_path: Path,
    stop_after,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str | None,
    pieces_again: int,
) -> None:
    """As by a workflow that was killed and did not see the end."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    out = tmp_path / "set" / "set.npy"
    corrupt_file(images, tmp_path / "whole" / "set.npy", workers=1, **SETTINGS)
    with monkeypatch.context() as patch:
        if place is not None:
            patch.setattr(place, name, killed)
        with contextlib.nullcontext() if place is None else pytest.raises(Killed):
            corrupt_file(images, out, workers=1, managed=True, **SETTINGS)
    for file in (out, out.with_suffix(".json")):
        file.unlink(missing_ok=True)
    done = stop_after(None)
    corrupt_file(images, out, workers=1, managed=True, **SETTINGS)
    assert len(done) == pieces_again
    for file in ("set.npy", "set.json"):
        assert (out.parent / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    # Once the next step has begun nothing is kept, and other settings never get it.
    assert out.stat().st_nlink == 2
    out.unlink()
    corrupt_file(images, out, workers=1, managed=True, **{**SETTINGS, "seed": 4})
    assert len(done) == 25 + pieces_again
    finished.let_go(out)
    assert out.stat().st_nlink == 1
    out.unlink()
    corrupt_file(images, out, workers=1, managed=True, **{**SETTINGS, "seed": 4})
    assert len(done) == 50 + pieces_again


def test_of_several_names_the_finished_ones_are_kept(tmp_path: Path) -> None:
    """Through the command: started again after a break, it makes what is missing."""
    np.save(tmp_path / "images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    command = ["npy", "--images", "images.npy", "--out", "c", "--seed", "1", "--names"]

    def call(*names: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "ews", "corrupt", *command, *names],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return result.stderr

    call("fog", "snow")
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c").iterdir()}
    said = call("fog", "contrast", "snow")
    assert "c/fog.npy: was made before" in said and "c/snow.npy: was made before" in said
    assert "contrast.npy: was" not in said
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c").iterdir()}
    assert now.keys() - written.keys() == {"contrast.json", "contrast.npy"}
    assert {name: now[name] for name in written} == written


def test_a_disk_that_fills_up_while_pieces_are_written(
    images: Path, tmp_path: Path, stop_after, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is kept: with room again the work resumes."""
    out = tmp_path / "set" / "set.npy"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    made = []

    def full(*arguments: object, **options: object) -> np.ndarray:
        rows = corrupt(*arguments, **options)
        made.append(rows)
        # The first call only checks the arguments.
        if len(made) == 1 + 8:
            # Room for the notes, none for the end of the array.
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
        return rows

    monkeypatch.setattr(generate_corrupted, "corrupt", full)
    try:
        with pytest.raises(EwsError, match=r"set\.npy: cannot be written: File too large\. .* 307,200 bytes"):
            corrupt_file(images, out, workers=1, **SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(out.parent) == [".set.npy.partial"]
    monkeypatch.setattr(generate_corrupted, "corrupt", corrupt)
    done = stop_after(None)
    corrupt_file(images, out, workers=1, **SETTINGS)
    assert len(done) == 25 - 7
    np.testing.assert_array_equal(np.load(out)[80:], corrupt(np.load(images), name=NAME, severity=5, seed=3))


def test_a_second_process_is_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "set" / "set.npy"
    out.parent.mkdir()
    with exclusive(out.with_name(".set.npy.partial")), pytest.raises(EwsError, match="another process"):
        corrupt_file(images, out, workers=1, **SETTINGS)
    corrupt_file(images, out, workers=1, **SETTINGS)
    assert names(out.parent) == ["set.json", "set.npy"]


def test_a_mistake_leaves_nothing(images: Path, tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="workers"):
        corrupt_file(images, tmp_path / "set" / "set.npy", workers=-1, **SETTINGS)
    assert not (tmp_path / "set").exists()


def test_code_other_than_planned_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="0123456789abcdef"):
        generate_corrupted.write_corrupted(
            data=dataset, name=NAME, seed=0, profile="cifar", out=tmp_path / "x.npy", workers=1,
            fingerprint="0123456789abcdef",
        )  # fmt: skip
    assert not (tmp_path / "x.npy").exists()


# As the command; small pieces, each noted, so that a break finds some done and most to do.
COMMAND = """
from ews.cli import entry
from ews.images import pieces
from ews.pipeline.corrupt import generate_corrupted
generate_corrupted.PIECE, pieces.NOTE_SECONDS = 4 * 128 * 128 * 3, 0.0
entry()
"""


def start(images: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = ("npy", "--images", images, "--out", out, "--seed", 1, "--names", "glass_blur", "--workers", workers)
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "corrupt", *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_sigkill_costs_a_few_seconds_of_work_and_no_byte(tmp_path: Path, workers: int) -> None:
    """Killed, and resumed by another number of workers; workers end with the process that started them."""
    images = tmp_path / "images.npy"
    np.save(images, np.random.default_rng(0).integers(0, 256, (80, 128, 128, 3), dtype=np.uint8))
    out = tmp_path / "out"
    state = out / ".glass_blur.npy.partial" / "state.json"
    process = start(images, out, workers)
    wanted = workers if workers > 1 else 0
    deadline = time.monotonic() + 60
    # On a busy machine the first worker may have done a part before the second one has begun.
    while process.poll() is None and time.monotonic() < deadline:
        if state.exists() and len(children(process.pid)) >= wanted:
            break
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    helpers = children(process.pid)
    assert len(helpers) >= wanted
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/exe").exists() for pid in helpers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in helpers)
    assert not (out / "glass_blur.npy").exists()
    reached = len(json.loads(state.read_text())["done"])
    assert reached > 0
    process = start(images, out, 3 - workers)
    _, said = process.communicate()
    assert process.returncode == 0
    assert f"resumes after {reached} of" in said.decode()
    assert names(out) == ["glass_blur.json", "glass_blur.npy"]
    made = np.load(out / "glass_blur.npy", mmap_mode="r").reshape(5, 80, 128, 128, 3)
    for severity, image in ((1, 0), (1, 79), (3, 7), (5, 79)):
        clean = np.load(images)[image : image + 1]
        options = {"name": "glass_blur", "severity": severity, "seed": 1, "profile": "imagenet"}
        np.testing.assert_array_equal(made[severity - 1, image], corrupt(clean, indices=[image], **options)[0])
