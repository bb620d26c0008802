"""The command: published layout, any number of workers, bounded memory, anyone's images, messages."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ews.corruptions import BENCHMARK, NAMES, corrupt


def run(*arguments: object, status: int = 0) -> str:
    """Run the command and return what it prints on either channel."""
    result = subprocess.run(
        [sys.executable, "-m", "ews", "corrupt", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


def test_generate_writes_the_published_layout(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "small-c" / "glass_blur.npy"
    run("generate", "--data", dataset, "--name", "glass_blur", "--seed", 3, "--profile", "cifar", "--out", out)
    clean = np.load(dataset / "test_images.npy")
    made = np.load(out, allow_pickle=False)
    assert made.dtype == np.uint8
    assert made.shape == (300, 32, 32, 3)
    for severity in range(1, 6):
        block = made[(severity - 1) * 60 : severity * 60]
        np.testing.assert_array_equal(block, corrupt(clean, name="glass_blur", severity=severity, seed=3))
    record = json.loads(out.with_suffix(".json").read_text())
    assert (record["seed"], record["profile"], record["source"]) == (3, "cifar", "small")
    run("labels", "--data", dataset, "--out", tmp_path / "small-c" / "labels.npy")
    labels = np.load(tmp_path / "small-c" / "labels.npy")
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels.reshape(5, 60), np.tile(np.arange(60) % 3, (5, 1)))
    assert sorted(path.name for path in out.parent.iterdir()) == ["glass_blur.json", "glass_blur.npy", "labels.npy"]


def test_workers_change_no_byte(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(4).integers(0, 256, (6, 400, 520, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    for workers in (0, 1, 3):
        run(
            "npy", "--images", tmp_path / "images.npy", "--out", tmp_path / str(workers), "--seed", 0,
            "--names", "snow", "fog", "--workers", workers,
        )  # fmt: skip
    for name in ("snow", "fog"):
        none, one, three = ((tmp_path / workers / f"{name}.npy").read_bytes() for workers in ("0", "1", "3"))
        assert none == one == three
        made = np.load(tmp_path / "3" / f"{name}.npy")
        expected = corrupt(images[5:], name=name, severity=4, seed=0, profile="imagenet", indices=[5])
        np.testing.assert_array_equal(made[3 * 6 + 5], expected[0])


def test_npy_takes_labels_and_chooses_the_profile(tmp_path: Path) -> None:
    images = np.random.default_rng(4).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(4, dtype=np.int32))
    said = run(
        "npy", "--images", tmp_path / "images.npy", "--labels", tmp_path / "labels.npy", "--out", tmp_path / "out",
        "--seed", 9, "--names", "frost",
    )  # fmt: skip
    assert "64 x 64 pixels: the tiny constants" in said
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "labels.npy"), np.tile(np.arange(4), 5))
    made = np.load(tmp_path / "out" / "frost.npy")
    np.testing.assert_array_equal(made[8:12], corrupt(images, name="frost", severity=3, seed=9, profile="tiny"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of three pictures of different kinds and sizes."""
    folder = tmp_path / "pictures"
    generator = np.random.default_rng(0)
    for path, shape in (("a/1.png", (40, 50, 3)), ("a/2.jpg", (33, 47, 3)), ("b.bmp", (36, 36))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(folder / path)
    return folder


def test_folder_of_pictures(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("folder", "--images", pictures, "--out", out, "--seed", 2, "--severities", "1", "5", "--names")
    assert "the cifar constants" in run(*command, "snow")
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert made == [f"snow/{severity}/{path}.png" for severity in (1, 5) for path in ("a/1", "a/2", "b")]
    clean = np.array(Image.open(pictures / "a" / "2.jpg").convert("RGB"))[np.newaxis]
    expected = corrupt(clean, name="snow", severity=5, seed=2, indices=[1])[0]
    np.testing.assert_array_equal(np.array(Image.open(out / "snow/5/a/2.png")), expected)

    # Again with one picture missing and one more corruption: only what is missing is made.
    (out / "snow/1/b.png").unlink()
    kept = (out / "snow/5/b.png").stat().st_mtime_ns
    run(*command, "snow", "contrast", "--workers", 2)
    assert (out / "snow/1/b.png").is_file()
    assert (out / "contrast/5/a/1.png").is_file()
    assert (out / "snow/5/b.png").stat().st_mtime_ns == kept

    said = run("folder", "--images", pictures, "--out", out, "--seed", 3, status=1)
    assert "another seed (2 there, 3 now)" in said


def test_folder_stores_jpeg_as_imagenet_c(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(
        "folder",
        "--images",
        pictures,
        "--out",
        out,
        "--seed",
        2,
        "--names",
        "fog",
        "--severities",
        1,
        "--format",
        "jpeg",
    )
    with Image.open(out / "fog/1/b.jpeg") as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["npy", "--images", "missing.npy", "--out", "o", "--seed", "0"], "missing.npy"),
        (["npy", "--images", "float.npy", "--out", "o", "--seed", "0"], "float64"),
        (["npy", "--images", "empty.npy", "--out", "o", "--seed", "0"], "at least 1"),
        (["npy", "--images", "good.npy", "--labels", "float.npy", "--out", "o", "--seed", "0"], "3 integers"),
        (
            ["npy", "--images", "good.npy", "--out", "o", "--seed", "0", "--workers", "-1"],
            "at least 0 (0: no process beside this one)",
        ),
        (["npy", "--images", "good.npy", "--labels", "half.npy", "--out", "o", "--seed", "0"], "3 integers"),
        (["npy", "--images", "good.npy", "--labels", "huge.npy", "--out", "o", "--seed", "0"], "2^63"),
        (["npy", "--images", "cut.npy", "--out", "o", "--seed", "0"], "cut.npy"),
        (
            ["folder", "--images", "pictures", "--out", "o", "--seed", "0", "--workers", "-1"],
            "at least 0 (0: no process beside this one)",
        ),
        (["folder", "--images", "pictures", "--out", "good.npy", "--seed", "0"], "is no folder"),
        (["folder", "--images", "small", "--out", "o", "--seed", "0", "--profile", "cifar"], "b.png: 15 x 40 pixels"),
        (["folder", "--images", "nothing", "--out", "o", "--seed", "0"], "no pictures"),
        (["folder", "--images", "bad", "--out", "o", "--seed", "0", "--profile", "cifar"], "not a readable picture"),
        (["folder", "--images", "bad", "--out", "bad/out", "--seed", "0"], "lies inside"),
        (["generate", "--data", "no", "--name", "fog", "--seed", "0", "--profile", "cifar", "--out", "o.npy"], "no"),
    ],
)
def test_mistakes_end_in_one_message(arguments: list[str], words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.zeros((3, 32, 32, 3), np.uint8))
    np.save(tmp_path / "float.npy", np.zeros((3, 32, 32, 3)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 32, 32, 3), np.uint8))
    np.save(tmp_path / "half.npy", np.array([0, 1, 0.5]))
    np.save(tmp_path / "huge.npy", np.array([0, 1, 2**63], np.uint64))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-1])
    for folder in ("pictures", "small"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / folder / "a.png")
    Image.fromarray(np.zeros((40, 15, 3), np.uint8)).save(tmp_path / "small" / "b.png")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no picture")
    result = subprocess.run(
        [sys.executable, "-m", "ews", "corrupt", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    # Nothing is written, no record either: the next start may be with other settings.
    assert not [path for path in tmp_path.rglob("*") if "o" in path.relative_to(tmp_path).parts]
    assert sorted(path.name for path in (tmp_path / "bad").iterdir()) == ["x.png"]


def limited(kilobytes: int, *command: object) -> str:
    """Run a command that may write files up to a size, and return the last line of its one message."""
    result = subprocess.run(
        [
            *("bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash"),
            *(sys.executable, "-m", "ews", "corrupt", *map(str, command)),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_without_room_is_one_message(dataset: Path, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "c" / "fog.npy"
    command = ("generate", "--data", dataset, "--name", "fog", "--seed", 0, "--profile", "cifar")
    said = limited(100, *command, "--out", out, "--workers", workers)
    assert said.startswith(f"error: {out}: cannot be written: File too large. The file takes 921,600 bytes.")
    assert not list(out.parent.glob("*.npy"))
    run(*command, "--out", out, "--workers", workers)
    assert sorted(path.name for path in out.parent.iterdir()) == ["fog.json", "fog.npy"]


def test_a_picture_without_room_is_one_message(pictures: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(pictures / "c.png")
    out = tmp_path / "out"
    command = ("folder", "--images", pictures, "--out", out, "--seed", 0, "--names", "contrast")
    said = limited(40, *command)
    assert said.startswith(f"error: {out / 'contrast'}")
    assert "c.png: cannot be written: " in said
    run(*command)
    assert len(list(out.rglob("*.png"))) == 5 * 4
    assert not list(out.glob(".unfinished"))


def test_labels_without_room_are_one_message(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "c" / "labels.npy"
    said = limited(1, "labels", "--data", dataset, "--out", out)
    assert said.startswith(f"error: {out}: cannot be written: ") and "2,400 bytes" in said
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("command", ["generate", "labels"])
def test_outputs_that_cannot_be_right_are_refused(dataset: Path, tmp_path: Path, command: str) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    (tmp_path / "link.npy").symlink_to(copy / "test_images.npy")
    arguments = [command, "--data", copy]
    if command == "generate":
        arguments += ["--name", "fog", "--seed", 0, "--profile", "cifar"]
    for out in ("fog", "fog.npz", "fog.npy.tmp"):
        assert "must end in .npy" in run(*arguments, "--out", tmp_path / "c" / out, status=1)
    # The last would write its record over the dataset's.
    for place in (copy / "test_images.npy", copy / "test_labels.npy", tmp_path / "link.npy", copy / "dataset.npy"):
        said = run(*arguments, "--out", place, status=1)
        assert "would overwrite" in said or "lies inside" in said
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "link.npy"]


def test_an_array_is_not_corrupted_onto_itself(tmp_path: Path) -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    np.save(tmp_path / "fog.npy", images)
    said = run("npy", "--images", tmp_path / "fog.npy", "--out", tmp_path, "--seed", 0, "--names", "fog", status=1)
    assert "would overwrite" in said
    np.testing.assert_array_equal(np.load(tmp_path / "fog.npy"), images)
    assert [path.name for path in tmp_path.iterdir()] == ["fog.npy"]


@pytest.mark.parametrize(
    ("images", "labels", "word"),
    [("fog", "labels", "fog.npy"), ("x", "labels", "labels.npy"), ("labels", "y", "labels")],
)
def test_npy_never_overwrites_what_it_reads(images: str, labels: str, word: str, tmp_path: Path) -> None:
    out = tmp_path / "ow"
    out.mkdir()
    np.save(out / f"{images}.npy", np.zeros((3, 32, 32, 3), np.uint8))
    np.save(out / f"{labels}.npy", np.arange(3))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    said = run(
        "npy", "--images", out / f"{images}.npy", "--labels", out / f"{labels}.npy", "--out", tmp_path / "." / "ow",
        "--seed", 0, "--names", "snow", "fog", status=1,
    )  # fmt: skip
    assert "would overwrite" in said
    assert word in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_unknown_name_lists_the_valid(dataset: Path, tmp_path: Path) -> None:
    said = run(
        "generate", "--data", dataset, "--name", "rain", "--seed", 0, "--profile", "cifar", "--out", tmp_path / "x.npy",
        status=2,
    )  # fmt: skip
    assert "snow" in said
    assert "folder" in run("--help")


def most_memory(pid: int, peaks: dict[int, int]) -> None:
    """Note the largest resident memory so far, KiB, of a process and its children, their shared pages in each."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except FileNotFoundError:
            continue
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                peaks[one] = int(line.split()[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_memory_stays_under_a_gigabyte(tmp_path: Path) -> None:
    """The set is 1.3 GB, corrupted; all processes together may not hold 1 GiB."""
    images = np.lib.format.open_memmap(tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(20000, 64, 64, 3))
    images[:] = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images.flush()
    del images
    command = ("npy", "--images", tmp_path / "images.npy", "--out", tmp_path, "--seed", 0, "--names", "frost")
    process = subprocess.Popen(
        [sys.executable, "-m", "ews", "corrupt", *map(str, command), "--workers", "2"], stderr=subprocess.DEVNULL
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):
            most_memory(process.pid, peaks)
        time.sleep(0.05)
    assert process.returncode == 0
    assert (tmp_path / "frost.npy").stat().st_size > 2**30
    assert len(peaks) >= 3
    assert 0 < sum(peaks.values()) < 2**20, peaks
    (tmp_path / "frost.npy").unlink()


def test_default_names_are_the_benchmark(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((1, 16, 16, 3), np.uint8))
    run("npy", "--images", tmp_path / "images.npy", "--out", tmp_path / "out", "--seed", 0)
    assert {path.stem for path in (tmp_path / "out").glob("*.npy")} == set(BENCHMARK) < set(NAMES)
