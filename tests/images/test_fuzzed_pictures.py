"""Whatever bytes a picture file holds: an image or one readable error, in bounded time and memory.

Hypothesis makes up inputs for as long as EWS_FUZZ_SECONDS says; each run tries others.
"""

import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ews.core.errors import EwsError
from ews.core.folder_walk import is_hidden
from ews.images.framing import Framing
from ews.images.picture_folder import list_pictures
from ews.images.pictures import ENDINGS, MOST_PIXELS, SUFFIXES, decode
from ews.pipeline.corrupt.folder_input import find_pictures, look_at_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
SECONDS = float(os.environ.get("EWS_FUZZ_SECONDS", "10"))
MOST = 20  # seconds of one input
# Of one input: a picture of as many pixels as are allowed, in Pillow's 4 bytes each, twice while it is converted, and
# the result; what its decoder holds besides.
MEMORY = 3 * 2**30
PIXELS = np.random.default_rng(0).integers(0, 256, (18, 21, 3), dtype=np.uint8)


def _samples() -> dict[str, list[bytes]]:
    """Return small files of each format, in several of its ways of coding."""
    rgb = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6
    ways: dict[str, list[tuple[Image.Image, dict]]] = {
        "PNG": [(rgb, {"exif": exif}), (rgb.quantize(7), {"bits": 4}), (rgb.convert("LA"), {})],
        "JPEG": [(rgb, {"exif": exif}), (rgb, {"progressive": True}), (rgb.convert("CMYK"), {})],
        "GIF": [(rgb, {}), (rgb.quantize(9), {"save_all": True, "append_images": [rgb.quantize(5)]})],
        "TIFF": [
            (rgb, {"exif": exif}),
            *((rgb, {"compression": name}) for name in ("tiff_lzw", "jpeg", "tiff_deflate", "packbits")),
            (rgb.convert("1"), {"compression": "group4"}),
            (rgb.convert("F"), {}),
        ],
        "WEBP": [(rgb, {}), (rgb, {"lossless": True, "exif": exif}), (rgb, {"save_all": True, "append_images": [rgb]})],
        "BMP": [(rgb, {}), (rgb.quantize(9), {}), (rgb.convert("1"), {})],
        "PPM": [(rgb, {}), (rgb.convert("L"), {}), (rgb.convert("1"), {})],
        "JPEG2000": [(rgb, {}), (rgb, {"no_jp2": True})],
        "AVIF": [(rgb, {"exif": exif})],
    }
    files: dict[str, list[bytes]] = {kind: [] for kind in ways}
    for kind, pictures in ways.items():
        for picture, options in pictures:
            buffer = io.BytesIO()
            try:
                picture.save(buffer, kind, **options)
            except (KeyError, OSError):  # not in this build of Pillow
                continue
            files[kind].append(buffer.getvalue())
    return {kind: contents for kind, contents in files.items() if contents}


SAMPLES = _samples()
NUMBERS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\x27\x10", b"\x10\x27\0\0", b"\0\x10", b"\x01"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with bytes replaced, put in, taken out, doubled or cut off; or other bytes after its first ones."""
    content = draw(st.sampled_from(SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))]))
    if not draw(st.integers(0, 9)):
        return content[: draw(st.integers(0, 40))] + draw(st.binary(max_size=200))
    # Headers are short and decide most.
    near = st.integers(0, min(120, len(content)))
    for _ in range(draw(st.sampled_from([1, 1, 2, 3, 8]))):
        place = draw(near | st.integers(0, len(content)))
        taken = draw(st.integers(0, 4))
        put = draw(st.binary(max_size=4) | st.sampled_from(NUMBERS))
        content = content[:place] + put + content[place + (taken if draw(st.booleans()) else len(put)) :]
    if not draw(st.integers(0, 3)):
        content = content[: draw(st.integers(0, len(content)))]
    return content


@st.composite
def names(draw: st.DrawFn) -> str:
    """A path below a folder, of one or two parts."""
    part = st.sampled_from(["cat", "a", "é", ".x", "._a", "__MACOSX", "a b", "-", "%", "\n"])
    ending = st.sampled_from(["", ".txt", *SUFFIXES, ".JPG", ".png.bak"])
    folder = draw(st.sampled_from(["", "cat/", "cat/dog/", ".hidden/"]))
    return folder + draw(part) + draw(ending)


def many(test: object) -> int:
    """Run a test with made-up inputs until the time is over; return the number of inputs."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        test(count, end)  # type: ignore[operator]
    return counted


FUZZ = settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def held() -> int:
    """Return the most memory that this process had so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def test_samples_are_pictures_of_every_format() -> None:
    assert {"PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"} <= set(SAMPLES) <= set(ENDINGS)
    read = 0
    for contents in SAMPLES.values():
        for content in contents:
            try:
                decode(content)
                read += 1
            except EwsError as error:
                assert "more than 8 bits" in str(error)  # the one in floating point
    assert read == sum(map(len, SAMPLES.values())) - 1


def test_the_reader_returns_an_image_or_an_error(capsys: pytest.CaptureFixture) -> None:
    images = 0
    before = held()

    def one(count: object, end: float) -> None:
        @FUZZ
        @given(damaged())
        def check(content: bytes) -> None:
            nonlocal images
            if time.monotonic() > end:
                return
            count()  # type: ignore[operator]
            start = time.monotonic()
            try:
                pixels = decode(content)
            except EwsError as error:
                assert "\n" not in str(error) and "BytesIO" not in str(error)
            else:
                images += 1
                assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
                assert 0 < pixels.shape[0] * pixels.shape[1] <= MOST_PIXELS
            assert time.monotonic() - start < MOST
            assert held() - before < MEMORY

        check()

    counted = many(one)
    with capsys.disabled():
        print(f"\nreader: {counted:,} inputs, {images:,} of them images")
    assert 0 < images < counted


def test_the_lister_returns_rows_or_an_error(capsys: pytest.CaptureFixture) -> None:
    rows_made = 0

    def one(count: object, end: float) -> None:
        @FUZZ
        @given(st.dictionaries(names(), damaged(), max_size=5))
        def check(files: dict[str, bytes]) -> None:
            nonlocal rows_made
            if time.monotonic() > end:
                return
            count()  # type: ignore[operator]
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as root:
                folder = Path(root) / "in"
                folder.mkdir()
                for name, content in files.items():
                    with contextlib.suppress(OSError):  # one name of a file and of a folder
                        (folder / name).parent.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_bytes(content)
                written = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
                try:
                    listing = find_pictures(folder, Path(root) / "out", allow_empty=True)
                except EwsError as error:
                    assert "no pictures here" in str(error)
                    return
                assert listing == list_pictures(folder)
                rows, bad = look_at_all(folder, listing, (), framing=Framing(), workers=0)
            rows_made += len(rows)
            assert [row.path for row in rows] == [str(path) for path in listing.pictures]
            assert [row.path for row in rows if row.fault] == [fault.path for fault in bad]
            assert all(row.fault or min(row.height, row.width) >= 16 for row in rows)
            others = sum(listing.skipped.values()) - listing.skipped.get("hidden", 0)
            assert len(rows) + others == sum(not is_hidden(path) for path in written)
            assert time.monotonic() - start < MOST

        check()

    counted = many(one)
    with capsys.disabled():
        print(f"\nlister: {counted:,} folders, {rows_made:,} pictures in them")
    assert rows_made
