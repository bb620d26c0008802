"""Corrupting a folder: what is there is never mixed with something else, and bad pictures end in one message."""

import contextlib
import io
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
from typing import Any

import numpy as np
import pytest
from helpers.runs import reseal
from PIL import Image

from ews.core.errors import EwsError
from ews.core.files import exclusive, sha256
from ews.corruptions import corrupt
from ews.corruptions.weather import frost_photograph
from ews.images.framing import Framing
from ews.images.pictures import SUFFIXES
from ews.pipeline.corrupt import folder_record
from ews.pipeline.corrupt.folder import UNFINISHED, corrupt_folder, main
from ews.pipeline.corrupt.folder_record import PICTURES, RECORD, PictureRow, read_record, read_rows

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


def rows_of(out: Path) -> tuple[PictureRow, ...]:
    record = read_record(out)
    assert record is not None
    return read_rows(out, record)


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
        (replace, r"other pictures: 1 changed \(a.png\)"),
        (rename, r"other pictures: 1 removed \(a.png\); 1 added \(z.png\)"),
        (add, r"other pictures: 1 added \(0.png\)"),
        (remove, r"other pictures: 1 removed \(a.png\)"),
    ],
)
def test_other_pictures_are_refused(pictures: Path, tmp_path: Path, change, words: str) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    before = everything(out)
    change(pictures)
    with pytest.raises(EwsError, match=words) as caught:
        corrupt_folder(pictures, out, **SETTINGS)
    assert "--update" in str(caught.value)
    assert everything(out) == before


@pytest.mark.parametrize("change", [replace, rename, add, remove])
def test_an_update_repeats_only_what_was_touched(pictures: Path, tmp_path: Path, change) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    before = everything(out)
    numbers = {row.path: row.number for row in rows_of(out)}
    change(pictures)
    summary = corrupt_folder(pictures, out, **SETTINGS, update=True)
    after = everything(out)
    assert summary.made == (0 if change is remove else 2)
    for path in ("b/c.png", "d.png"):
        for name in SETTINGS["names"]:
            assert after[f"{name}/2/{path}"] == before[f"{name}/2/{path}"]
    present = {str(path.relative_to(pictures)) for path in pictures.rglob("*.png")}
    assert {path.removeprefix("gaussian_noise/2/") for path in after if path.startswith("gaussian")} == present
    for row in rows_of(out):
        assert row.number == numbers.get(row.path, 3)
        clean = np.array(Image.open(pictures / row.path))[np.newaxis]
        expected = corrupt(clean, name="gaussian_noise", severity=2, seed=1, indices=[row.number])[0]
        np.testing.assert_array_equal(np.array(Image.open(out / "gaussian_noise/2" / row.path)), expected)
    assert corrupt_folder(pictures, out, **SETTINGS).made == 0


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
    reseal(out / RECORD, lambda record: record["code"].update(brightness="0" * 16))
    with pytest.raises(EwsError, match="other code for brightness"):
        corrupt_folder(pictures, out, **SETTINGS)
    corrupt_folder(pictures, out, **(SETTINGS | {"names": ["gaussian_noise", "contrast"]}))
    assert set(json.loads((out / RECORD).read_text())["code"]) == {"brightness", "gaussian_noise", "contrast"}


def test_what_a_power_cut_left_empty_is_made_again(pictures: Path, tmp_path: Path) -> None:
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    whole = everything(tmp_path / "out")
    (tmp_path / "out/brightness/2/b/c.png").write_bytes(b"")
    summary = corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert (summary.made, summary.there) == (1, 5)
    assert everything(tmp_path / "out") == whole


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
    frost_photograph.forget()
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
    assert len(everything(out)) == 42
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
def test_all_pictures_that_cannot_be_decoded_are_named_before_anything_is_written(
    pictures: Path, tmp_path: Path, case: str
) -> None:
    for name in ("d.png", "b/c.png"):
        (pictures / name).write_bytes(UNDECODABLE[case]((pictures / name).read_bytes()))
    with pytest.raises(EwsError, match="2 files or folders cannot be used") as caught:
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert f"{pictures}/d.png: not a readable picture" in str(caught.value)
    assert f"{pictures}/b/c.png: not a readable picture" in str(caught.value)
    assert "--skip-bad" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mend", ["repair", "remove", "leave"])
def test_bad_pictures_are_passed_over_and_mending_one_repeats_nothing_else(
    pictures: Path, tmp_path: Path, mend: str
) -> None:
    out, whole = tmp_path / "out", (pictures / "a.png").read_bytes()
    corrupt_folder(pictures, tmp_path / "undisturbed", **SETTINGS)
    (pictures / "a.png").write_bytes(whole[:50])
    summary = corrupt_folder(pictures, out, **SETTINGS, skip_bad=True)
    assert (summary.pictures, summary.made, [fault.path for fault in summary.bad]) == (2, 4, ["a.png"])
    assert [(row.path, row.number, bool(row.fault)) for row in rows_of(out)] == [
        ("a.png", 0, True),
        ("b/c.png", 1, False),
        ("d.png", 2, False),
    ]
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*/2/*.png")}
    if mend == "repair":
        (pictures / "a.png").write_bytes(whole)
    elif mend == "remove":
        (pictures / "a.png").unlink()
    summary = corrupt_folder(pictures, out, **SETTINGS, skip_bad=mend == "leave")
    assert summary.made == (2 if mend == "repair" else 0)
    assert len(summary.bad) == (mend == "leave")
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    if mend == "repair":
        assert everything(out) == everything(tmp_path / "undisturbed")


def test_a_picture_that_goes_bad_is_no_repair(pictures: Path, tmp_path: Path) -> None:
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    (pictures / "a.png").write_bytes(b"")
    with pytest.raises(EwsError, match="not a readable picture"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    with pytest.raises(EwsError, match=r"1 changed \(a.png\)"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS, skip_bad=True)
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS, skip_bad=True, update=True)
    assert not (tmp_path / "out/brightness/2/a.png").exists()


def test_only_bad_pictures_are_no_folder_to_corrupt(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"x")
    with pytest.raises(EwsError, match="no picture here can be used: all 1 are bad"):
        corrupt_folder(tmp_path / "in", tmp_path / "out", **SETTINGS, skip_bad=True)


def test_found_good_once_a_picture_is_not_decoded_for_the_look_again(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    monkeypatch.setattr("ews.pipeline.corrupt.folder_input.decode", None)
    assert corrupt_folder(pictures, tmp_path / "out", **SETTINGS).there == 6


def test_a_picture_that_changes_meanwhile_is_noticed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ews.pipeline.corrupt.folder.try_all", lambda *_, **__: replace(pictures))
    with pytest.raises(EwsError, match=r"a.png: was changed while the command ran"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("path,number\n", "its first line is another"),
        ("path,number,sha256,height,width,fault\na.png,x,,1,1,\n", "damaged"),
        ("path,number,sha256,height,width,fault\na.png,0,,1,1,\na.png,1,,1,1,\n", "stands there twice"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_list_of_pictures_is_refused(pictures: Path, tmp_path: Path, content: str | None, words: str) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    (out / PICTURES).unlink()
    if content is not None:
        (out / PICTURES).write_text(content)
        reseal(out / RECORD, lambda record: record.update(pictures=[sha256(out / PICTURES)]))
    with pytest.raises(EwsError, match=f"pictures.csv: .*{words}"):
        corrupt_folder(pictures, out, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (RECORD, '"seed": 1', '"seed": 2'),
        (RECORD, '"resize": null', '"resize": 40'),
        (RECORD, '"checksum"', '"sum"'),
        (PICTURES, "a.png,0,", "a.png,7,"),
        (PICTURES, "d.png", "e.png"),
        (PICTURES, "\n", "\r\n"),
    ],
)
@pytest.mark.parametrize("update", [False, True])
def test_what_a_folder_was_made_from_is_vouched_for(
    pictures: Path, tmp_path: Path, name: str, old: str, new: str, update: bool
) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    text = (out / name).read_text()
    assert old in text
    (out / name).write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(EwsError, match=rf"{name}: .*(changed or damaged|has no 'checksum').*delete"):
        corrupt_folder(pictures, out, **SETTINGS, update=update)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_killed_while_the_record_changes_the_folder_is_taken_up(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    out = tmp_path / "out"
    corrupt_folder(pictures, out, **SETTINGS)
    draw(pictures / "new.png", 9)
    steps = []

    def killed(function: Any) -> Any:
        def stop(*arguments: Any) -> None:
            steps.append(1)
            if len(steps) == step:
                raise KeyboardInterrupt
            function(*arguments)

        return stop

    with monkeypatch.context() as patch:
        for name in ("write_sealed", "write_text"):
            patch.setattr(folder_record, name, killed(getattr(folder_record, name)))
        with pytest.raises(KeyboardInterrupt):
            corrupt_folder(pictures, out, **SETTINGS, update=True)
    assert len(steps) == step
    assert corrupt_folder(pictures, out, **SETTINGS, update=True).made == 2
    assert corrupt_folder(pictures, out, **SETTINGS).there == 8


# ---- what lies in the folder


def test_links_are_followed_and_nothing_is_lost(pictures: Path, tmp_path: Path) -> None:
    (pictures / "b").rename(tmp_path / "elsewhere")
    (pictures / "b").symlink_to(tmp_path / "elsewhere")
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert (tmp_path / "out/brightness/2/b/c.png").is_file()
    (tmp_path / "elsewhere/loop").symlink_to(pictures)
    with pytest.raises(EwsError, match="b/loop: is a link to a folder that it lies in"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS, skip_bad=True)


def test_a_class_that_cannot_be_resolved_is_never_passed_over(pictures: Path, tmp_path: Path) -> None:
    (pictures / "dog").symlink_to(tmp_path / "nowhere")
    for skip_bad in (False, True):
        with pytest.raises(EwsError, match="dog: is a link that cannot be resolved"):
            corrupt_folder(pictures, tmp_path / "out", **SETTINGS, skip_bad=skip_bad)


def test_empty_folders_are_refused_or_asked_for(pictures: Path, tmp_path: Path) -> None:
    (pictures / "dog").mkdir()
    with pytest.raises(EwsError, match=r"folders without pictures \(1\): dog.*--allow-empty"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    assert corrupt_folder(pictures, tmp_path / "out", **SETTINGS, allow_empty=True).pictures == 3


def test_hidden_and_other_files_are_counted_and_printed(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("._a.png", ".ipynb_checkpoints/a.png", "notes.txt"):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(b"no picture")
    (pictures / "bad.gif").write_bytes(b"GIF89a")
    words = ["--images", str(pictures), "--out", str(tmp_path / "out"), "--seed", "1", "--profile", "cifar"]
    main([*words, "--names", "contrast", "--severities", "1", "2", "--skip-bad"])
    printed = capsys.readouterr()
    assert "3 pictures; 6 corrupted pictures made; 0 were there; bad pictures passed over, listed on " in printed.err
    assert "other files passed over: 1 .txt, 2 hidden." in printed.err
    (line,) = printed.out.splitlines()
    assert line.startswith(f"{pictures}/bad.gif\tnot a readable picture")
    assert not list((tmp_path / "out").rglob(".ipynb*"))


def test_missing_folders_and_folders_without_pictures_are_two_things(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="in: no such folder"):
        corrupt_folder(tmp_path / "in", tmp_path / "out", **SETTINGS)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.heic").write_bytes(b"")
    with pytest.raises(EwsError, match=r"no pictures here; valid endings: .jpg.*Passed over: 1 .heic"):
        corrupt_folder(tmp_path / "in", tmp_path / "out", **SETTINGS)


def test_an_output_that_links_lead_back_to_is_refused(pictures: Path, tmp_path: Path) -> None:
    draw(tmp_path / "out/old.png", 1)
    (pictures / "back").symlink_to(tmp_path / "out")
    with pytest.raises(EwsError, match="lies inside"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)


# ---- names and formats, sizes


def test_two_pictures_of_one_name_are_both_named(pictures: Path, tmp_path: Path) -> None:
    draw(pictures / "a.bmp", 9)
    with pytest.raises(EwsError, match=r"a\.bmp and a\.png would both become a\.png.*--keep-names"):
        corrupt_folder(pictures, tmp_path / "out", **SETTINGS)
    corrupt_folder(pictures, tmp_path / "out", **(SETTINGS | {"encoding": "kept"}))
    assert (tmp_path / "out/brightness/2/a.bmp").is_file() and (tmp_path / "out/brightness/2/a.png").is_file()


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("jpg", "JPEG"),
        ("JPEG", "JPEG"),
        ("bmp", "BMP"),
        ("tif", "TIFF"),
        ("webp", "WEBP"),
        ("ppm", "PPM"),
        ("jp2", "JPEG2000"),
        ("j2k", "JPEG2000"),
    ],
)
def test_names_and_formats_are_kept(tmp_path: Path, ending: str, kind: str) -> None:
    draw(tmp_path / f"in/x.{ending}", 3, (20, 24, 3))
    corrupt_folder(tmp_path / "in", tmp_path / "out", **(SETTINGS | {"encoding": "kept"}))
    corrupt_folder(tmp_path / "in", tmp_path / "png", **SETTINGS)
    with (
        Image.open(tmp_path / f"out/gaussian_noise/2/x.{ending}") as kept,
        Image.open(tmp_path / "png/gaussian_noise/2/x.png") as exact,
    ):
        assert kept.format == kind
        if kind != "JPEG":
            np.testing.assert_array_equal(np.array(kept), np.array(exact))
        else:
            buffer = io.BytesIO()
            exact.save(buffer, "JPEG", quality=85, optimize=True)
            assert (tmp_path / f"out/gaussian_noise/2/x.{ending}").read_bytes() == buffer.getvalue()


def test_formats_that_would_change_a_corrupted_picture_are_not_kept(pictures: Path, tmp_path: Path) -> None:
    draw(pictures / "x.gif", 3, (20, 24))
    with pytest.raises(EwsError, match=r"--keep-names: x.gif: 1 of a format .*valid: \.jpg"):
        corrupt_folder(pictures, tmp_path / "out", **(SETTINGS | {"encoding": "kept"}))
    corrupt_folder(pictures, tmp_path / "out", **SETTINGS)


def test_pictures_are_resized_and_cropped_first(tmp_path: Path) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    pixels = draw(tmp_path / "in/a.png", 4, (50, 90, 3))
    framing = Framing(resize=32, crop=24)
    corrupt_folder(tmp_path / "in", tmp_path / "out", **SETTINGS, framing=framing)
    clean = np.array(Compose([Resize(32), CenterCrop(24)])(Image.fromarray(pixels)))[np.newaxis]
    expected = corrupt(clean, name="gaussian_noise", severity=2, seed=1, indices=[0])[0]
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/gaussian_noise/2/a.png")), expected)
    with pytest.raises(EwsError, match=r"another resize \(32 there, none now\); another crop \(24 there, none now\)"):
        corrupt_folder(tmp_path / "in", tmp_path / "out", **SETTINGS)
    with pytest.raises(EwsError, match="smaller than the crop of 64"):
        corrupt_folder(tmp_path / "in", tmp_path / "other", **SETTINGS, framing=Framing(crop=64))
    with pytest.raises(EwsError, match="valid are pictures of 16 to"):
        corrupt_folder(tmp_path / "in", tmp_path / "other", **SETTINGS, framing=Framing(resize=12))


def test_a_profile_that_is_not_given_is_the_one_that_is_there(pictures: Path, tmp_path: Path) -> None:
    corrupt_folder(pictures, tmp_path / "out", **(SETTINGS | {"profile": "imagenet"}))
    assert corrupt_folder(pictures, tmp_path / "out", **(SETTINGS | {"profile": None})).made == 0


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
