"""Whatever bytes an archive has: its content as it was packed, or one readable error; in bounded time and memory.

Hypothesis makes up inputs for as long as EWS_FUZZ_SECONDS says; each run tries others.
"""

import bz2
import gzip
import io
import lzma
import os
import resource
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ews.core.errors import EwsError
from ews.data.archives import Bounds, members

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
SECONDS = float(os.environ.get("EWS_FUZZ_SECONDS", "10"))
MOST = 5  # seconds of one input
MEMORY = 300  # MB that all of them together may add
BOUNDS = Bounds(member=2**22, small=2**22, members=2000)
FILES = {
    "seed0/record.json": b'{"a": 1}',
    "seed0/model.safetensors": np.random.default_rng(0).bytes(3000),
    "seed0/zeros.bin": bytes(20_000),
    "long/" * 30 + "name": b"x" * 700,
}


def tarred(mode: str, form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as file:  # type: ignore[call-overload]
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in FILES.items():
            file.writestr(name, content)
    return buffer.getvalue()


PACKED = {
    "tar": tarred("w", tarfile.PAX_FORMAT),
    "gnu tar": tarred("w", tarfile.GNU_FORMAT),
    "tar.gz": tarred("w:gz", tarfile.PAX_FORMAT),
    "tar.bz2": tarred("w:bz2", tarfile.GNU_FORMAT),
    "tar.xz": tarred("w:xz", tarfile.PAX_FORMAT),
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "stored zip": zipped(zipfile.ZIP_STORED),
    "gz": gzip.compress(FILES["seed0/zeros.bin"]),
    "bz2": bz2.compress(b"word " * 400),
    "xz": lzma.compress(b"word " * 400),
}
TYPES = [bytes([kind]) for kind in b"0123456LKxgSDVM\0"]
NUMBERS = [b"\xff" * 12, b"\x80" + b"\0" * 6 + b"\xff" * 5, b"77777777777\0", b"-0000000001\0", b"00000000000\0"]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """An archive with bytes flipped, taken out, put in, repeated; of tars also headers with a right checksum."""
    kind = draw(st.sampled_from(sorted(PACKED)))
    content = bytearray(PACKED[kind])
    if "tar" in kind and draw(st.booleans()):
        inner = bytearray(tarred("w", tarfile.PAX_FORMAT if draw(st.booleans()) else tarfile.GNU_FORMAT))
        for _ in range(draw(st.integers(1, 3))):
            header(draw, inner)
        packers = {"tar": bytes, "gnu tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress}
        return "made", packers.get(kind, lzma.compress)(bytes(inner))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 4, 8]))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.sampled_from([0, 1, 1, 1, 2, 4, 16, 512]))
        new = draw(st.binary(max_size=4) | st.sampled_from(NUMBERS) | st.just(bytes(content[place : place + 600])))
        content[place : place + length] = new
    if draw(st.integers(0, 9)) == 0:
        del content[draw(st.integers(0, len(content))) :]
    if draw(st.integers(0, 9)) == 0:
        kind, content = "made", content + PACKED[draw(st.sampled_from(sorted(PACKED)))]
    return kind, bytes(content)


def header(draw: st.DrawFn, content: bytearray) -> None:
    """Change a field of a tar's block, and make its checksum right."""
    place = 512 * draw(st.integers(0, len(content) // 512 - 1))
    block = content[place : place + 512]
    field, values = draw(
        st.sampled_from([(156, TYPES), (124, NUMBERS), (0, [b"../x", b"/etc/x", b".", b""]), (157, [b"/etc/passwd"])])
    )
    value = draw(st.sampled_from(values))
    block[field : field + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    content[place : place + 512] = block


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "runs.bin"
    tried = refused = whole = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=100, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(mutated())
    def attempt(made: tuple[str, bytes]) -> None:
        nonlocal tried, refused, whole
        kind, content = made
        path.write_bytes(content)
        tried += 1
        start = time.process_time()
        try:
            found = {name: read() for name, read in members(path, BOUNDS)}
        except EwsError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and len(str(error)) < 1200
        else:
            check(kind, content, found)
            whole += found == FILES
        assert time.process_time() - start < MOST

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        attempt()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"archives: {tried} inputs, {refused} refused, {whole} read as packed, {grown:.0f} MB more")
    assert 0 < refused < tried and whole and grown < MEMORY


def check(kind: str, content: bytes, found: dict[str, bytes]) -> None:
    """Check what was read of an archive that was not refused, as far as the format vouches for it."""
    for name in found:
        assert not name.startswith(("/", ".")) and ".." not in name.split("/") and "\0" not in name
    if kind in ("tar.gz", "tar.bz2", "tar.xz"):
        assert found == FILES
    elif kind in ("gz", "bz2", "xz"):
        assert set(found) == {"runs"}
    elif "zip" in kind:
        assert set(found.values()) <= {*FILES.values()}
    elif kind != "made":
        assert sum(map(len, found.values())) <= len(content)
