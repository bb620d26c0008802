"""Reading archives member by member in memory: nothing is ever unpacked onto the disk."""

import contextlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from ews.core.errors import EwsError

LARGEST_MEMBER = 2**30  # bytes; a larger one is a mistake or an attack, not an image or a batch of CIFAR


def members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the regular files of a tar (gz, bz2, xz), zip or folder as (name, function that reads it).

    Names are relative, with ``/`` between the parts. Folders and hidden files (a part that starts
    with a dot, as macOS adds them) are left out. The function is valid until the next member.

    Raises:
        EwsError: not an archive, or a damaged one; a name that leads outside, a link, a device or a
            huge member: no such archive is honest, so none of it is used. The functions raise it too.
    """
    with _readable(archive):
        if archive.is_dir():
            listing = _folder(archive)
        elif zipfile.is_zipfile(archive):
            listing = _zip(archive)
        else:
            listing = _tar(archive)
        for name, content in listing:
            if not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                yield name, partial(_guarded, archive, content)


def _folder(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes


def _zip(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.is_dir():
                continue
            # The upper half of the attributes is the Unix mode, where a link shows.
            kind = (info.external_attr >> 16) & 0o170000
            regular = kind in (0, 0o100000)
            yield _checked(archive, info.filename, regular=regular, size=info.file_size), partial(file.read, info)


def _tar(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with tarfile.open(archive, "r:*") as file:
        for info in file:
            if not info.isdir():
                yield _checked(archive, info.name, regular=info.isreg(), size=info.size), partial(_read, file, info)


def _read(file: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = file.extractfile(info)
    assert stream is not None  # regular files only
    return stream.read()


def _guarded(archive: Path, content: Callable[[], bytes]) -> bytes:
    with _readable(archive):
        return content()


@contextlib.contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turn what the standard library raises on damaged archives into one readable error."""
    try:
        yield
    except FileNotFoundError as error:
        raise EwsError(f"{archive}: no such file or folder ({error.filename}).") from None
    except (NotImplementedError, RuntimeError) as error:  # what zipfile raises on unknown compression and on encryption
        raise EwsError(f"{archive}: {error}. Pack it without a password, compressed as zip programs do.") from None
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise EwsError(
            f"{archive}: damaged, or not an archive ({error}). Valid: .tar.xz, .tar.gz, .tar.bz2, .zip or a folder."
        ) from None


def _checked(archive: Path, name: str, *, regular: bool, size: int) -> str:
    """Return the name without a leading ``./``, or refuse the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise EwsError(f"{archive}: member {name!r} leads outside the archive; the archive is refused.")
    if not regular:
        raise EwsError(
            f"{archive}: member {name!r} is a link or a device; the archive is refused. Pack the files themselves."
        )
    if size > LARGEST_MEMBER:
        raise EwsError(f"{archive}: member {name!r} is {size} bytes long; the archive is refused.")
    return path.as_posix()
