"""The one reader of pictures: formats, depth by the file, orientation, bounds; and the listing of a folder."""

import io
import os
import struct
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from ews.core.errors import EwsError
from ews.core.folder_walk import is_hidden
from ews.images.framing import Framing
from ews.images.picture_faults import SHOWN, BadPictures, Fault, listed_in_full
from ews.images.picture_folder import list_pictures, skipped_words
from ews.images.pictures import ENDINGS, BadPicture, decode, is_picture, read_content

RGB = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
SMOOTH = np.repeat(np.arange(24, dtype=np.uint8)[None, :, None] * 10, 20, 0).repeat(3, 2)
NEEDS = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    if kind in NEEDS and not features.check(NEEDS[kind]):
        pytest.skip(f"this Pillow has no {kind}")
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: np.ndarray, *, bits: int = 16) -> bytes:
    """Return a PNG of 1 to 4 channels, [H, W, C], of a depth that Pillow does not write itself."""
    height, width, channels = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2" if bits == 16 else "u1").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "PPM": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "JPEG2000": {},
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_pictures_are_read_exactly(kind: str) -> None:
    np.testing.assert_array_equal(decode(saved(Image.fromarray(RGB), kind, **LOSSLESS[kind])), RGB)


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "GIF"])
def test_lossy_formats_are_read(kind: str) -> None:
    made = decode(saved(Image.fromarray(SMOOTH), kind))
    assert np.abs(made.astype(int) - SMOOTH).mean() < 8


def test_of_several_pictures_in_a_file_the_first_counts() -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    for kind, options in (("TIFF", {}), ("PNG", {}), ("MPO", {"quality": 95}), ("WEBP", {"lossless": True})):
        several = decode(saved(first, kind, save_all=True, append_images=[second], **options))
        one = decode(saved(first, "JPEG" if kind == "MPO" else kind, **options))
        np.testing.assert_array_equal(several, one, err_msg=kind)


def test_every_format_has_a_test() -> None:
    assert set(ENDINGS) == {*LOSSLESS, "JPEG", "AVIF", "GIF"}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "PA") else "PNG"
    picture = Image.fromarray(SMOOTH).convert("RGBA" if mode == "PA" else mode)
    np.testing.assert_array_equal(decode(saved(picture, kind)), np.array(picture.convert("RGB")))


def ppm(maxval: int, magic: bytes = b"P6") -> bytes:
    channels = 3 if magic in (b"P3", b"P6") else 1
    values = np.full(20 * 24 * channels, maxval)
    if magic in (b"P2", b"P3"):
        return magic + b"\n# 24 20 255\n24 20 #x\n%d\n" % maxval + b" ".join(b"%d" % value for value in values)
    return magic + b"\n# 24 20 255\n24 20 #x\n%d\n" % maxval + values.astype(">u2" if maxval > 255 else "u1").tobytes()


def avif_of_depth(bits: int) -> bytes:
    """Return an AVIF file that says that it has more bits; Pillow writes 8 alone."""
    content = bytearray(saved(Image.fromarray(SMOOTH), "AVIF"))
    place = content.index(b"av1C") + 6
    content[place] |= {10: 0x40, 12: 0x60}[bits]
    if (said := content.find(b"pixi")) >= 0:
        content[said + 9 : said + 12] = bytes([bits] * 3)
    return bytes(content)


DEEP = {
    "png grey": lambda: png(np.full((20, 24, 1), 300)),
    "png grey alpha": lambda: png(np.full((20, 24, 2), 300)),
    "png rgb": lambda: png(np.full((20, 24, 3), 300)),
    "png rgb alpha": lambda: png(np.full((20, 24, 4), 300)),
    "png mode I": lambda: saved(Image.fromarray(np.full((20, 24), 300, np.uint16)), "PNG"),
    "tiff grey 16": lambda: tiff(np.full((20, 24), 300, np.uint16)),
    "tiff rgb 16": lambda: tiff(np.full((20, 24, 3), 300, np.uint16), photometric="rgb"),
    "tiff rgb 16 compressed": lambda: tiff(np.full((20, 24, 3), 300, np.uint16), photometric="rgb", compression="zlib"),
    "tiff big-endian": lambda: tiff(np.full((20, 24), 300, ">u2"), byteorder=">"),
    "tiff 32": lambda: tiff(np.full((20, 24), 300, np.uint32)),
    "tiff float": lambda: tiff(np.full((20, 24), 0.5, np.float32)),
    "pgm 65535": lambda: ppm(65535, b"P5"),
    "pgm 1023": lambda: ppm(1023, b"P5"),
    "ppm 65535": lambda: ppm(65535),
    "ppm 256": lambda: ppm(256),
    "ppm plain": lambda: ppm(300, b"P3"),
    "pgm plain": lambda: ppm(300, b"P2"),
    "pfm": lambda: b"Pf\n24 20\n-1.0\n" + np.full(480, 0.5, "<f4").tobytes(),
    "jpeg 2000 grey": lambda: saved(Image.fromarray(np.full((20, 24), 300, np.uint16)), "JPEG2000"),
    "jpeg 2000 codestream": lambda: saved(Image.fromarray(np.full((20, 24), 300, np.uint16)), "JPEG2000", no_jp2=True),
    "avif 10": lambda: avif_of_depth(10),
    "avif 12": lambda: avif_of_depth(12),
}


@pytest.mark.parametrize("case", DEEP)
def test_deep_pictures_are_refused_by_their_files_depth(case: str) -> None:
    with pytest.raises(BadPicture, match="more than 8 bits a channel"):
        decode(DEEP[case]())


def test_a_jpeg_2000_of_deep_colour_is_refused() -> None:
    content = bytearray(saved(Image.fromarray(RGB), "JPEG2000", no_jp2=True))
    assert content[:4] == b"\xff\x4f\xff\x51"
    content[45] = 11  # the second component: 12 bits
    with pytest.raises(BadPicture, match=r"more than 8 bits a channel \(12\)"):
        decode(bytes(content))


def test_signed_tiffs_are_refused() -> None:
    with pytest.raises(BadPicture, match=r"not whole numbers from 0|not a readable picture"):
        decode(tiff(np.full((20, 24), -3, np.int8)))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_shallow_pictures_are_read(bits: int) -> None:
    picture = Image.fromarray(SMOOTH).quantize(2**bits)
    np.testing.assert_array_equal(decode(saved(picture, "PNG", bits=bits)), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("maxval", [1, 15, 255])
def test_a_ppm_of_few_levels_is_spread_to_all(maxval: int) -> None:
    for magic in (b"P2", b"P3", b"P5", b"P6"):
        assert (decode(ppm(maxval, magic)) == 255).all()


TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_pictures_are_turned_once(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(RGB), kind, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(content), TURNS[orientation](RGB))


def test_a_damaged_exif_tag_turns_nothing() -> None:
    content = saved(Image.fromarray(RGB), "WEBP", lossless=True, exif=b"Exif\0\0nothing of the kind")
    np.testing.assert_array_equal(decode(content), RGB)


@pytest.mark.parametrize(("side", "kind"), [(9460, "warning"), (20000, "error")])
@pytest.mark.parametrize("limit", [None, 1000])
def test_one_bound_of_pixels_whatever_pillow_s_is(
    monkeypatch: pytest.MonkeyPatch, side: int, kind: str, limit: int | None
) -> None:
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    if limit is None or kind == "error":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(BadPicture, match="more than 89,478,485 pixels, or claims to"):
        decode(head + chunk(b"IDAT", b""))


@pytest.mark.parametrize("content", [b"", b"nothing", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"P6\n"])
def test_what_is_no_picture_says_so_without_addresses(content: bytes) -> None:
    with pytest.raises(BadPicture, match="not a readable picture") as caught:
        decode(content)
    assert "BytesIO" not in str(caught.value) and "0x" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_truncated_pictures_are_refused(kind: str) -> None:
    content = saved(Image.fromarray(RGB), kind)
    for length in (len(content) // 2, len(content) - 40):
        with pytest.raises(BadPicture):
            decode(content[:length])


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match="cannot be read: No such file"):
        read_content(tmp_path / "none.png")
    with pytest.raises(BadPicture, match="cannot be read: Is a directory"):
        read_content(tmp_path)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ews.images.pictures.LARGEST_FILE", 10)
    (tmp_path / "a.png").write_bytes(b"0" * 11)
    with pytest.raises(BadPicture, match="more than 10 bytes"):
        read_content(tmp_path / "a.png")


# ---- names


@pytest.mark.parametrize("name", ["a.jpe", "a.JFIF", "b/c.gif", "x.y.TIF", "a.jp2", "a.avif", "a.pbm"])
def test_endings_of_pictures(name: str) -> None:
    assert is_picture(name)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.png.bak", ".png", "a.eps", "a.svg"])
def test_other_endings(name: str) -> None:
    assert not is_picture(name)


@pytest.mark.parametrize("name", ["._a.png", ".ipynb_checkpoints/a.png", "a/.b/c.png", "__MACOSX/a.png"])
def test_hidden_names(name: str) -> None:
    assert is_hidden(name)
    assert not is_hidden(name.replace(".", "").replace("__", ""))


# ---- listing


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_a_listing_counts_everything(tmp_path: Path) -> None:
    names = ("b.png", "a/z.JPG", "a/b.gif", "a-b/c.bmp", "a/._b.gif", ".ipynb_checkpoints/b.png", "n.txt", "LICENCE")
    listing = list_pictures(lay(tmp_path / "in", *names))
    assert [str(path) for path in listing.pictures] == ["a/b.gif", "a/z.JPG", "a-b/c.bmp", "b.png"]
    assert listing.skipped == {"": 1, ".txt": 1, "hidden": 2}
    assert skipped_words(listing.skipped) == "1 without an ending, 1 .txt, 2 hidden"
    assert not listing.faults and not listing.blocked and not listing.empty


def test_links_are_followed_once(tmp_path: Path) -> None:
    lay(tmp_path / "in", "cat/a.png")
    lay(tmp_path / "out", "dog/b.png", "c.png")
    (tmp_path / "in/dog").symlink_to(tmp_path / "out/dog")
    (tmp_path / "in/again").symlink_to(tmp_path / "out/dog")  # twice is no loop
    (tmp_path / "in/c.png").symlink_to(tmp_path / "out/c.png")
    listing = list_pictures(tmp_path / "in")
    assert [str(path) for path in listing.pictures] == ["again/b.png", "c.png", "cat/a.png", "dog/b.png"]


@pytest.mark.parametrize("target", [".", "..", "../cat", "../.."])
def test_loops_are_named(tmp_path: Path, target: str) -> None:
    lay(tmp_path / "in", "cat/a.png")
    (tmp_path / "in/cat/loop").symlink_to(target)
    listing = list_pictures(tmp_path / "in")
    assert [str(path) for path in listing.pictures][:1] == ["cat/a.png"]
    assert any("link to a folder that it lies in" in fault.reason for fault in listing.blocked)


def test_what_cannot_be_resolved_or_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path / "in", "cat/a.png", "closed/b.png")
    (folder / "dog").symlink_to(tmp_path / "nowhere")
    (folder / "x.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "self").symlink_to("self")
    os.mkfifo(folder / "pipe.png")
    (folder / os.fsdecode(b"b\xe9.png")).write_bytes(b"")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("ews.core.folder_walk.os.scandir", refusing)
    listing = list_pictures(folder)
    assert [str(path) for path in listing.pictures] == ["cat/a.png"]
    assert {fault.path: fault.reason.split(":")[0] for fault in listing.blocked} == {
        "closed": "cannot be entered",
        "dog": "is a link that cannot be resolved",
        "self": "is a link that cannot be resolved",
    }
    assert {fault.path: fault.reason.split(":")[0] for fault in listing.faults} == {
        "b\\udce9.png": "its name is not UTF-8; rename it",
        "pipe.png": "is no regular file",
        "x.png": "is a link that cannot be resolved",
    }
    assert not listing.empty


def test_empty_folders_are_found_the_outermost_alone(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", "cat/a.png", "dog/notes.txt", "cow/x/y/.hidden.png")
    assert list_pictures(folder).empty == (PurePosixPath("cow"), PurePosixPath("dog"))


def test_no_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="none: no such folder"):
        list_pictures(tmp_path / "none")
    with pytest.raises(EwsError, match="is no folder"):
        list_pictures(lay(tmp_path, "a.png") / "a.png")


def test_a_message_is_bounded_and_the_rest_is_printed(capsys: pytest.CaptureFixture) -> None:
    faults = [Fault(f"{number}.png", "bad") for number in range(SHOWN + 3)]
    with pytest.raises(BadPictures) as caught, listed_in_full():
        raise BadPictures("in", faults, "Mend them.")
    message = str(caught.value)
    assert message.startswith("in: 13 files or folders cannot be used.\nin/0.png: bad.\n")
    assert "and 3 more" in message and "in/10.png" not in message and message.endswith("Mend them.")
    assert capsys.readouterr().out.splitlines() == [f"in/{number}.png\tbad" for number in range(SHOWN + 3)]
    assert "\n" not in str(BadPictures("in", faults[:1], "Mend it."))


# ---- resizing and cropping


@pytest.mark.parametrize("shape", [(20, 24), (37, 90), (90, 37), (300, 221), (64, 64)])
@pytest.mark.parametrize(("resize", "crop"), [(32, 24), (64, 64), (33, None), (None, 17), (256, 224)])
def test_framing_is_torchvision_s(shape: tuple[int, int], resize: int | None, crop: int | None) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    steps = [*([Resize(resize)] if resize else []), *([CenterCrop(crop)] if crop else [])]
    expected = np.array(Compose(steps)(Image.fromarray(pixels)))
    np.testing.assert_array_equal(Framing(resize, crop).apply(pixels), expected)


def test_framing_refuses_what_it_would_have_to_make_up() -> None:
    with pytest.raises(BadPicture, match="24 x 20 pixels: smaller than the crop of 21"):
        Framing(crop=21).apply(RGB)
    with pytest.raises(BadPicture, match="resized, it has more than"):
        Framing(resize=20000).apply(RGB)
    for values in ({"resize": 0}, {"crop": -1}, {"resize": 20, "crop": 21}):
        with pytest.raises(EwsError, match="valid is"):
            Framing(**values)
