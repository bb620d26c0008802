"""Corrupting a folder: what is there is never mixed with something else, and bad pictures end in one message."""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ews.core.errors import EwsError
from ews.core.files import exclusive
from ews.corruptions import corrupt
from ews.corruptions.weather import frost_photographs
from ews.pipeline.corrupt.folder import RECORD, SUFFIXES, UNFINISHED, corrupt_folder

SETTINGS = {
    "names": ["brightness", "gaussian_noise"],
    "severities": [2],
    "seed": 1,
    "profile": "cifar",
    "encoding": "png",
    "workers": 1,
}


def draw(path: Path, seed: int, shape: tuple[int, ...] = (20, 24, 3)) -> np.ndarray:
    """Write a random picture and return it."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of three pictures."""
    for number, name in enumerate(("a.png", "b/c.png", "d.png")):
        draw(tmp_path / "in" / name, number)
    return tmp_path / "in"


def everything(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def replace(pictures: Path) -> None:
    """Put another picture in the place of one."""
    draw(pictures / "a.png", 77)


def rename(pictures: Path) -> None:
    """Give a picture another name, which sorts last."""
    (pictures / "a.png").rename(pictures / "z.png")


def add(pictures: Path) -> None:
    """Add a picture that sorts first."""
    draw(pictures / "0.png", 5)


def remove(pictures: Path) -> None:
    """Take a picture out."""
    (pictures / "a.png").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace, "pictures with other content"),
        (rename, "added, removed or renamed"),
        (add, r"another number of pictures \(3 there, 4 now\)"),
        (remove, r"another number of pictures \(3 there, 2 now\)"),
    ],
)
def test_other_pictures_are_refused(pictures: Path, tmp_path: Path, change, words: str) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    before = everything(out)
    change(pictures)
    with pytest.raises(EwsError, match=words) as caught:
        corrupt_folder(pictures, out, **SETTINGS)
    assert "--out" in str(caught.value)
    assert everything(out) == before


@pytest.mark.parametrize("change", [{"seed": 2}, {"profile": "tiny"}, {"encoding": "jpeg"}])
def test_other_settings_are_refused(pictures: Path, tmp_path: Path, change: dict) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    with pytest.raises(EwsError, match="made otherwise: another"):
        corrupt_folder(pictures, out, **(SETTINGS | change))


def test_other_code_of_a_corruption_is_refused_for_that_one(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    record = json.loads((out / RECORD).read_text())
    assert set(record["code"]) == set(SETTINGS["names"])
    record["code"]["brightness"] = "0" * 16
    (out / RECORD).write_text(json.dumps(record))
    with pytest.raises(EwsError, match="other code for brightness"):
        corrupt_folder(pictures, out, **SETTINGS)
    corrupt_folder(pictures, out, **(SETTINGS | {"names": ["gaussian_noise", "contrast"]}))
    assert set(json.loads((out / RECORD).read_text())["code"]) == {"brightness", "gaussian_noise", "contrast"}


@pytest.mark.parametrize(
    "change", [{"workers": -1}, {"severities": [2, 6]}, {"profile": "cifar10"}, {"encoding": "gif"}]
)
def test_a_refused_start_leaves_nothing_and_blocks_nothing(pictures: Path, tmp_path: Path, change: dict) -> None:
    out = tmp_path / "out"
    with pytest.raises(EwsError):
        corrupt_folder(pictures, out, **(SETTINGS | change))
    assert not out.exists()
    corrupt_folder(pictures, out, **(SETTINGS | {"seed": 9}))
    assert json.loads((out / RECORD).read_text())["seed"] == 9


def test_missing_photographs_are_noticed_before_anything_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ews.corruptions.weather.find_spec", lambda name: None)
    frost_photographs.forget()
    with pytest.raises(EwsError, match="photographs"):
        corrupt_folder(pictures, tmp_path / "out", **(SETTINGS | {"names": ["brightness", "frost"]}))
    assert not (tmp_path / "out").exists()


def test_a_second_process_is_refused(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with exclusive(out), pytest.raises(EwsError, match="another process"):
        corrupt_folder(pictures, out, **SETTINGS)
    assert not everything(out)


def test_killed_it_leaves_no_half_picture_and_the_next_start_clears_up(tmp_path: Path) -> None:
    for number in range(40):
        draw(tmp_path / "in" / f"{number}.png", number, (60, 60, 3))
    out = tmp_path / "out"
    # The first file that is saved stops in its middle, for good.
    code = (
        "import sys, time; from PIL import Image; from pathlib import Path;"
        "from ews.pipeline.corrupt import folder; save = Image.Image.save;"
        "count = iter(range(9));"
        "Image.Image.save = lambda self, path, **o: save(self, path, **o) if next(count) < 5 else"
        " (Path(path).write_bytes(b'half'), time.sleep(600));"
        f"folder.main(['--images', {str(tmp_path / 'in')!r}, '--out', {str(out)!r}, '--seed', '1',"
        " '--profile', 'cifar', '--names', 'brightness', '--severities', '2'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(FileNotFoundError):  # one that was whole has been moved to its place meanwhile
                if any(path.read_bytes() == b"half" for path in (out / UNFINISHED).glob("*/*")):
                    break
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    half = [path for path in out.rglob("*") if path.is_file() and path.read_bytes() == b"half"]
    assert len(half) == 1
    assert half[0].suffix.lower() not in SUFFIXES
    pictures = [path for path in out.rglob("*") if path.suffix.lower() in SUFFIXES]
    assert len(pictures) == 5
    for path in pictures:
        Image.open(path).load()
    corrupt_folder(tmp_path / "in", out, **(SETTINGS | {"names": ["brightness"]}))
    corrupt_folder(tmp_path / "in", tmp_path / "undisturbed", **(SETTINGS | {"names": ["brightness"]}))
    assert everything(out) == everything(tmp_path / "undisturbed")
    assert len(everything(out)) == 41
    assert not (out / UNFINISHED).exists()


# ---- bad pictures


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """Return a PNG file that claims these sides."""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + b"".join(chunks)
    )


BAD = {
    "no picture": (b"nothing of the kind", "of no known format"),
    "empty": (b"", "not a readable picture"),
    "chunk": (png(20, 20, b"\0\0\0\4\0\1\2\3abcd\0\0\0\0"), "not a readable picture"),
    "warning": (png(10000, 10000, chunk(b"IDAT", b"")), "pixels, or claims to"),
    "bomb": (png(100000, 100000, chunk(b"IDAT", b"")), "pixels, or claims to"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_end_in_one_line_that_names_the_file(pictures: Path, tmp_path: Path, case: str) -> None:
    content, words = BAD[case]
    (pictures / "y.png").write_bytes(content)
    with pytest.raises(EwsError, match=words) as caught:
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert str(pictures / "y.png") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)
    assert not (tmp_path / "out").exists()


# Found while decoding. Pillow raises OSError for the first, SyntaxError for the second.
UNDECODABLE = {
    "ends early": lambda whole: whole[: len(whole) // 2],
    "broken chunk": lambda whole: png(20, 20, chunk(b"IDAT", zlib.compress(b"\0" * 100)), b"\0\0\0\4\0\1\2\3abcdefgh"),
}


@pytest.mark.parametrize("case", UNDECODABLE)
def test_a_picture_that_cannot_be_decoded_is_named_and_the_others_stay(
    pictures: Path, tmp_path: Path, case: str
) -> None:
    (pictures / "d.png").write_bytes(UNDECODABLE[case]((pictures / "d.png").read_bytes()))
    with pytest.raises(EwsError, match=r"d\.png: not a readable picture"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert sorted(path.name for path in (tmp_path / "out" / "brightness").rglob("*.png")) == ["a.png", "c.png"]


def test_deep_pictures_are_refused_and_not_cut_off(pictures: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 40000, np.uint16)).save(pictures / "deep.png")
    with pytest.raises(EwsError, match=r"deep\.png: has more than 8 bits"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)


def test_pictures_are_turned_as_their_exif_tag_says(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 250
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png", exif=exif)
    corrupt_folder(tmp_path / "in", tmp_path / "out", **(SETTINGS | {"names": ["contrast"]}))
    upright = np.rot90(pixels, -1)[np.newaxis]
    expected = corrupt(np.ascontiguousarray(upright), name="contrast", severity=2, seed=1)[0]
    with Image.open(tmp_path / "out/contrast/2/a.png") as made:
        assert made.size == (20, 40)
        assert 0x0112 not in made.getexif()
        np.testing.assert_array_equal(np.array(made), expected)


def test_a_moved_folder_goes_on(pictures: Path, tmp_path: Path) -> None:
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    (tmp_path / "out/brightness/2/d.png").unlink()
    shutil.move(pictures, tmp_path / "elsewhere")
    corrupt_folder(tmp_path / "elsewhere", tmp_path / "out", **SETTINGS)
    assert (tmp_path / "out/brightness/2/d.png").is_file()
