"""Archives: told by their first bytes, read whole or refused, and never larger than their bounds."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.data.archive_kinds import kind_of
from ews.data.archives import Bounds, members

FILES = {"a/one.txt": b"one", "a/two.bin": bytes(range(256)) * 40, "b/empty": b""}


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(5))
    return buffer.getvalue()


def packed(files: dict[str, bytes], mode: str = "w", **options: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as file:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def read(path: Path, bounds: Bounds | None = None) -> dict[str, bytes]:
    return {name: content() for name, content in members(path, *([bounds] if bounds else []))}


PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": packed,
    "tar.gz": lambda files: packed(files, "w:gz"),
    "tar.bz2": lambda files: packed(files, "w:bz2"),
    "tar.xz": lambda files: packed(files, "w:xz"),
    "gnu": lambda files: packed(files, "w", format=tarfile.GNU_FORMAT),
    "ustar": lambda files: packed(files, "w", format=tarfile.USTAR_FORMAT),
    "zip": zipped,
    "stored zip": lambda files: zipped(files, zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("name", ["x.tar", "x.zip", "x.tar.xz", "x", "x.npz", "x.7z"])
def test_neither_name_nor_tail_decides(kind: str, name: str, tmp_path: Path) -> None:
    """The last member is a zip whose end mark stands where a zip's would; or a tar lies at the end of a zip."""
    files = {**FILES, "long/" * 40 + "name": b"x", "z.npz": npz(), "z.tar": packed(FILES)}
    (tmp_path / name).write_bytes(PACKERS[kind](files))
    assert read(tmp_path / name) == files
    (tmp_path / name).write_bytes(PACKERS[kind]({**FILES, "z.npz": npz()}))
    assert read(tmp_path / name) == {**FILES, "z.npz": npz()}


def test_a_tar_of_runs_that_ends_in_an_npz_is_a_tar(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/clean.npz").write_bytes(npz())
    with tarfile.open(tmp_path / "runs.tar", "w") as file:
        file.add(tmp_path / "a", "a")
    assert zipfile.is_zipfile(tmp_path / "runs.tar")  # What once decided.
    assert kind_of(tmp_path / "runs.tar") == "tar" and read(tmp_path / "runs.tar") == {"a/clean.npz": npz()}


def test_an_npz_is_a_zip(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(npz())
    assert list(read(tmp_path / "x.tar")) == ["x.npy"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_one_file_compressed_alone(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    for content in (b"words", b"", bytes(300), bytes(5000), b"x" * 5000):
        (tmp_path / "labels.idx.gz").write_bytes(compress(content))
        assert read(tmp_path / "labels.idx.gz") == {"labels.idx": content}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_without_a_member_is_one(mode: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(packed({}, mode))
    assert read(tmp_path / "x.tar") == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty, no archive"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 99, "compressed by zstd.*zstd -dc"),
        (b"7z\xbc\xaf\x27\x1c" + b"x" * 99, "a 7z archive"),
        (b"Rar!\x1a\x07\x01", "a RAR archive"),
        (b"\x80\x04\x95", "a pickle"),
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"<html>404", "a web page"),
        (b"nothing" * 1000, "begins as none"),
        (b"\x93NUMPY\x01\x00", r"a single array \(\.npy\)"),
        (b"PK\x03\x04", "damaged"),
        (b"\x1f\x8b\x08", "damaged"),
    ],
)
def test_what_is_none_is_told_by_its_name(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "runs.tar").write_bytes(content)
    with pytest.raises(EwsError, match=words) as caught:
        read(tmp_path / "runs.tar")
    assert str(tmp_path / "runs.tar") in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_method_knows_no_bounds_is_refused(method: int, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(FILES, method))
    with pytest.raises(EwsError, match=r"compressed by method .*compressed as zip programs do"):
        read(tmp_path / "x.zip")


SMALL = Bounds(small=2**20)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_a_bomb_is_refused_before_it_goes_off(kind: str, tmp_path: Path) -> None:
    files = {f"{number}.bin": bytes(2**22) for number in range(4)}
    (tmp_path / "x").write_bytes(PACKERS[kind](files))
    size = (tmp_path / "x").stat().st_size
    seen = []
    with pytest.raises(EwsError, match=rf"{size:,} bytes that expand to more than .*unpack it yourself"):
        for name, _ in members(tmp_path / "x", SMALL):
            seen.append(name)
    assert not seen
    assert read(tmp_path / "x", Bounds()) == files  # At this size by default no ratio is too high.


def test_a_bomb_in_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(2**23)))
    with pytest.raises(EwsError, match="expands to more than 1,048,576 bytes"):
        read(tmp_path / "x.gz", SMALL)


def test_a_bomb_behind_the_end_mark(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(packed(FILES) + bytes(2**23)))
    with pytest.raises(EwsError, match="expand to more than"):
        read(tmp_path / "x", SMALL)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_bounds_of_number_and_of_sum(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PACKERS[kind]({str(number): b"12345" for number in range(10)}))
    assert len(read(tmp_path / "x", Bounds(members=10, expanded=20_000))) == 10
    with pytest.raises(EwsError, match="holds more than 9 members"):
        read(tmp_path / "x", Bounds(members=9))
    with pytest.raises(EwsError, match="expand to more than 49"):
        read(tmp_path / "x", Bounds(expanded=49))


def test_a_header_that_says_it_is_huge_takes_no_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    stream = header.tobuf(tarfile.GNU_FORMAT) + bytes(2**22)
    for content in (stream, gzip.compress(stream)):
        (tmp_path / "x.tar").write_bytes(content)
        with pytest.raises(EwsError, match=r"a header says that it is 8589934592 bytes long"):
            read(tmp_path / "x.tar")


def test_a_negative_size_is_no_endless_loop(tmp_path: Path) -> None:
    for kind in (tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, -512
        (tmp_path / "x.tar").write_bytes(packed(FILES)[:12288] + header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        began = time.monotonic()
        with pytest.raises(EwsError, match=r"refused|damaged"):
            read(tmp_path / "x.tar")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "stored zip"])
def test_a_cut_archive_is_never_a_smaller_one(kind: str, tmp_path: Path) -> None:
    """Also where it is cut between two members."""
    whole = PACKERS[kind](FILES)
    for length in sorted({*range(0, len(whole), max(1, len(whole) // 40)), *range(512, len(whole) - 1024, 512)}):
        if kind == "tar" and length >= 12288 + 512:
            continue  # Three headers, their contents and an end mark: what is cut is padding.
        (tmp_path / "x").write_bytes(whole[:length])
        with pytest.raises(EwsError):
            read(tmp_path / "x")


def test_a_damaged_header_in_the_midst_is_not_the_end(tmp_path: Path) -> None:
    content = bytearray(packed(FILES))
    content[1024 + 3] ^= 1  # of the second header
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(EwsError, match=r"damaged: what follows is no header \(byte 1024 of the tar\)"):
        read(tmp_path / "x.tar")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_header_of_zeros_in_the_midst_is_not_the_end(mode: str, tmp_path: Path) -> None:
    """As a download that was preallocated and broke off has it; and so is a second archive in the same file."""
    content = bytearray(packed(FILES))
    content[1024 : 1024 + 512] = bytes(512)  # The second header.
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(EwsError, match=r"damaged, or several archives in one: .* end mark \(byte 1024 of the tar\)"):
        read(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(packed(FILES, mode) + packed({"more": b"x"}, mode))
    with pytest.raises(EwsError, match="damaged, or several archives in one"):
        read(tmp_path / "x.tar")


def folder_of_files(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_links_in_a_folder_are_followed(tmp_path: Path) -> None:
    folder, elsewhere = folder_of_files(tmp_path / "in"), folder_of_files(tmp_path / "elsewhere")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "file").symlink_to(elsewhere / next(iter(FILES)))
    expected = {**FILES, **{f"linked/{name}": content for name, content in FILES.items()}}
    assert read(folder) == {**expected, "file": next(iter(FILES.values()))}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("nowhere"), "is a link that cannot be resolved: No such file"),
        (lambda path: path.symlink_to(path.name), "is a link that cannot be resolved: Too many"),
        (lambda path: path.symlink_to("."), "is a link to a folder that it lies in"),
        (os.mkfifo, "is no regular file"),
    ],
)
def test_nothing_in_a_folder_is_lost_without_a_word(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    folder = folder_of_files(tmp_path / "in")
    make(folder / "here")
    with pytest.raises(EwsError, match=f"in/here: {words}.* Mend or remove what is named"):
        read(folder)
    make(folder / "there")
    with pytest.raises(EwsError, match="1 more: there"):
        read(folder)
    (folder / "here").rename(folder / ".here")
    (folder / "there").rename(folder / ".there")
    assert read(folder) == FILES


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, scandir = folder_of_files(tmp_path / "in"), os.scandir
    (folder / "closed").mkdir()

    def refusing(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("ews.core.folder_walk.os.scandir", refusing)
    with pytest.raises(EwsError, match="in/closed: cannot be entered: Permission denied"):
        read(folder)


def test_checksums_are_looked_at_to_the_end(tmp_path: Path) -> None:
    """A tar ends before the gzip around it does."""
    content = bytearray(packed(FILES, "w:gz"))
    content[-6] ^= 1  # of the checksum
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(EwsError, match="CRC"):
        read(tmp_path / "x.tar.gz")


def test_a_single_file_under_the_name_of_a_tar_is_damaged(tmp_path: Path) -> None:
    for name in ("x.tar.gz", "x.tgz", "X.TAR.GZ"):
        (tmp_path / name).write_bytes(gzip.compress(b"x" * 2000))
        with pytest.raises(EwsError, match="what is compressed in it is no tar"):
            read(tmp_path / name)
