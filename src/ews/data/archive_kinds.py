"""What a file is, told by its first bytes: names and what lies at a file's end say nothing reliable."""

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import IO, Literal

from ews.core.errors import EwsError

Kind = Literal["tar", "zip", "gz", "bz2", "xz"]

VALID = "Valid: .tar, .tar.gz, .tar.bz2, .tar.xz, .zip, one file as .gz, .bz2 or .xz, or a folder."
STARTS: dict[bytes, Kind] = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # without a member
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
# What people have and this cannot read, by its name and how to come by something else.
OTHERS = {
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "Pack it anew: `zstd -dc FILE | xz > FILE.tar.xz`."),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it, and pack it as a tar or zip."),
    b"Rar!\x1a\x07": ("a RAR archive", "Unpack it, and pack it as a tar or zip."),
    b"PK\x07\x08": ("one part of a zip in several parts", "Join the parts: `zip -s 0 FILE --out WHOLE.zip`."),
    b"%PDF": ("a PDF", "Get the archive itself."),
    b"\x80\x02": ("a pickle", "Pickles can run code and are not read as archives."),
    b"\x80\x04": ("a pickle", "Pickles can run code and are not read as archives."),
    b"\x93NUMPY": ("a single array (.npy)", "Pack it, as what reads it expects."),
}
PAGES = (b"<!doctype html", b"<html", b"<?xml")
BLOCK = tarfile.BLOCKSIZE
END = bytes(BLOCK)
"""The end mark of a tar, with which one without a member begins."""


def kind_of(path: Path) -> Kind:
    """Return what a file is; a compressed one may hold a tar or anything else, see :func:`holds_tar`.

    Raises:
        EwsError: it is nothing that can be read; the message says what it is, where that is known.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(BLOCK)
    if is_tar(start) or start == END:
        return "tar"
    for signature, kind in STARTS.items():
        if start.startswith(signature):
            return kind
    if not start:
        raise EwsError(f"{path}: empty, no archive. Copy or download it again.")
    for signature, (name, remedy) in OTHERS.items():
        if start.startswith(signature):
            raise EwsError(f"{path}: is {name}, which is not read here. {remedy} {VALID}")
    if start.lstrip().lower().startswith(PAGES):
        raise EwsError(f"{path}: is a web page, no archive. Open the address in a browser to see what it says. {VALID}")
    raise EwsError(f"{path}: damaged, or not an archive (it begins as none). {VALID}")


def is_tar(start: bytes) -> bool:
    """Tell whether the first 512 bytes of a file are a tar's first header, with a right checksum."""
    if len(start) < BLOCK or start == END:
        return False
    try:
        tarfile.TarInfo.frombuf(start, tarfile.ENCODING, "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def opened(path: Path, kind: Kind) -> IO[bytes]:
    """Open a file for reading what is compressed in it; a tar or zip as it is."""
    openers = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    stream: IO[bytes] = openers[kind](path, "rb") if kind in openers else path.open("rb")  # type: ignore[operator]
    return stream


def holds_tar(path: Path, stream: IO[bytes]) -> bool:
    """Tell whether what is compressed in a file is a tar; the stream stands at its beginning afterwards.

    Raises:
        EwsError: the file's name says so, and it is none.
    """
    start = stream.read(BLOCK)
    stream.seek(0, io.SEEK_SET)
    name = path.name.lower()
    named = ".tar" in Path(name).suffixes[-2:] or name.endswith((".tgz", ".tbz2", ".tbz", ".txz"))
    if is_tar(start) or (named and start == END):
        return True
    if named:
        raise EwsError(f"{path}: damaged: what is compressed in it is no tar. Copy or download it again.")
    return False
