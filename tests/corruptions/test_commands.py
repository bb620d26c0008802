"""The command: published layout, any number of workers, bounded memory, anyone's images, messages."""

import json
import os
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
        [sys.executable, "-m", "ews.corruptions", *map(str, arguments)],
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
    for workers in (1, 3):
        run(
            "npy", "--images", tmp_path / "images.npy", "--out", tmp_path / str(workers), "--seed", 0,
            "--names", "snow", "fog", "--workers", workers,
        )  # fmt: skip
    for name in ("snow", "fog"):
        one = (tmp_path / "1" / f"{name}.npy").read_bytes()
        assert one == (tmp_path / "3" / f"{name}.npy").read_bytes()
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
    assert "other settings" in said


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
        (["npy", "--images", "good.npy", "--out", "o", "--seed", "0", "--workers", "0"], "1 or more"),
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
    (tmp_path / "nothing").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no picture")
    result = subprocess.run(
        [sys.executable, "-m", "ews.corruptions", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    # No images are written, whole or half.
    assert not [path for path in tmp_path.rglob("o/*") if path.name != "corruptions.json"]


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
        [sys.executable, "-m", "ews.corruptions", *map(str, command), "--workers", "2"], stderr=subprocess.DEVNULL
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
