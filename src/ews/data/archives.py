"""Reading archives member by member in memory, within bounds: nothing is ever unpacked onto the disk."""

import contextlib
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ews.core.errors import EwsError
from ews.core.folder_walk import is_hidden, walk
from ews.data.archive_kinds import END, VALID, Kind, holds_tar, kind_of, opened

HEADERS = 2**20  # bytes; a tar's header with the longest names takes some thousands
CHUNK = 2**16  # bytes
_NAMED = 5
Listing = Iterator[tuple[str, Callable[[], bytes]]]


@dataclass(frozen=True)
class Bounds:
    """How much an archive may hold; what is more is a mistake or an attack, not images, arrays or runs.

    Attributes:
        member: bytes of one member.
        members: their number, folders counted.
        expanded: bytes of all members.
        ratio: bytes of all members for each byte of the archive, looked at above ``small``.
        small: bytes that an archive may expand to at any ratio.
    """

    member: int = 2**30
    members: int = 2**21
    expanded: int = 2**38
    ratio: int = 100
    small: int = 2**27


BOUNDS = Bounds()


def members(archive: Path, bounds: Bounds = BOUNDS) -> Listing:
    """Yield the regular files of a tar, zip, compressed file or folder as (name, function that reads it).

    What the archive is its first bytes say: a tar, plain or compressed (gz, bz2, xz), a zip (an .npz is one), or one
    file compressed alone, which is named as the archive without its last suffix. Names are relative, with ``/`` between
    the parts. Folders and hidden files (a part that starts with a dot, as macOS adds them) are left out. The function
    is valid until the next member. What has checksums is checked when the last member has been asked for.

    Args:
        archive: the file or folder; in a folder, links are followed.
        bounds: how much it may hold; a folder may hold any number of files.

    Raises:
        EwsError: not an archive, or a damaged one; more in it than the bounds allow; a name that leads outside, a link
            or a device: no such archive is honest, so none of it is used. In a folder, a link that leads nowhere or
            round in a circle, what cannot be entered, a pipe or device. The functions raise it too.
    """
    with _readable(archive):
        for name, content in _listing(archive, bounds):
            if not is_hidden(name):
                yield name, partial(_guarded, archive, content)


def _listing(archive: Path, bounds: Bounds) -> Listing:
    if archive.is_dir():
        return _folder(archive)
    kind = kind_of(archive)
    return _zip(archive, bounds) if kind == "zip" else _streamed(archive, kind, bounds)


def _folder(folder: Path) -> Listing:
    found = walk(folder)
    wrong = {**found.refused, **{str(path): "is no regular file" for path in found.special}}
    if wrong:
        first, *others = sorted(wrong)
        more = f" The same, or the like, holds of {len(others):,} more: {', '.join(others[:_NAMED])}." if others else ""
        raise EwsError(f"{folder / first}: {wrong[first]}.{more} Mend or remove what is named, or name another folder.")
    for path in sorted(found.files):
        yield str(path), (folder / path).read_bytes


def _zip(archive: Path, bounds: Bounds) -> Listing:
    tally = _Tally(archive, bounds)
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        for info in infos:
            tally.add(info.filename, info.file_size)
        for info in infos:
            if info.is_dir():
                continue
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile bounds what it decompresses at once for these two alone.
                raise NotImplementedError(f"member {info.filename!r} is compressed by method {info.compress_type}")
            # The upper half of the attributes is the Unix mode, where a link shows.
            kind = stat.S_IFMT(info.external_attr >> 16)
            name = _checked(archive, info.filename, regular=kind in (0, stat.S_IFREG))
            yield name, partial(file.read, info)


def _streamed(archive: Path, kind: Kind, bounds: Bounds) -> Listing:
    """A tar, plain or compressed, or another file compressed."""
    with opened(archive, kind) as stream:
        if kind == "tar" or holds_tar(archive, stream):
            yield from _tar(archive, stream, bounds)
        else:
            yield archive.stem, partial(_whole, archive, stream, bounds)


def _whole(archive: Path, stream: IO[bytes], bounds: Bounds) -> bytes:
    """Return all that is compressed in a file."""
    most = min(bounds.member, max(bounds.small, bounds.ratio * archive.stat().st_size))
    content = stream.read(most + 1)
    if len(content) > most:
        raise EwsError(f"{archive}: expands to more than {most:,} bytes; the archive is refused. {_UNPACK}")
    return content


def _tar(archive: Path, stream: IO[bytes], bounds: Bounds) -> Listing:
    tally, metered = _Tally(archive, bounds), _Metered(archive, stream)
    with tarfile.open(fileobj=metered, mode="r:") as file:  # type: ignore[call-overload]
        while (info := file.next()) is not None:
            # Or the list of millions of names would stay in memory.
            file.members.clear()
            tally.add(info.name, info.size)
            if info.isdir():
                continue
            yield _checked(archive, info.name, regular=info.isreg()), partial(_read, file, info, metered)
        # tarfile takes a damaged header in the midst for the end.
        metered.seek(file.offset)
        mark = metered.read(len(END))
    if mark != END:
        where = "damaged: what follows is no header" if mark else "truncated: its end mark is missing"
        raise EwsError(f"{archive}: {where} (byte {file.offset} of the tar). Copy, download or pack it again.")
    # Where it is compressed, what comes last is the checksum. Blocks of a broken disk or download are zeros, as an end
    # mark is; and of two archives in one file the second would be lost.
    while chunk := metered.read(CHUNK):
        tally.more(len(chunk))
        if chunk.strip(b"\0"):
            raise EwsError(
                f"{archive}: damaged, or several archives in one: more follows its end mark (byte {file.offset} of the "
                "tar). Copy, download or pack it again."
            )


def _read(file: tarfile.TarFile, info: tarfile.TarInfo, metered: "_Metered") -> bytes:
    member = file.extractfile(info)
    assert member is not None  # regular files only
    with metered.up_to(info.size):
        content = member.read()
    if len(content) != info.size:
        raise EOFError(f"member {info.name!r} is cut off")
    return content


class _Metered:
    """A stream for tarfile that reads no header as large as a damaged or dishonest one says."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self._archive, self._stream, self._most = archive, stream, HEADERS

    @contextlib.contextmanager
    def up_to(self, size: int) -> Iterator[None]:
        """Allow so many bytes at once."""
        self._most = max(size, HEADERS)
        try:
            yield
        finally:
            self._most = HEADERS

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        if not 0 <= size <= self._most:
            raise EwsError(f"{self._archive}: a header says that it is {size} bytes long; the archive is refused.")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        """Go to a position from the beginning."""
        return self._stream.seek(position)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()


_UNPACK = "If it is what it should be, unpack it yourself and name the folder."


class _Tally:
    """What an archive holds so far, held to its bounds."""

    def __init__(self, archive: Path, bounds: Bounds) -> None:
        self._archive, self._bounds = archive, bounds
        self._size = archive.stat().st_size
        self._members = self._expanded = 0

    def add(self, name: str, size: int) -> None:
        """Count a member.

        Raises:
            EwsError: it, or all so far, is too much.
        """
        if not 0 <= size <= self._bounds.member:
            raise EwsError(f"{self._archive}: member {name!r} is {size} bytes long; the archive is refused.")
        self._members += 1
        if self._members > self._bounds.members:
            raise EwsError(
                f"{self._archive}: holds more than {self._bounds.members:,} members; the archive is refused. {_UNPACK}"
            )
        self.more(size)

    def more(self, size: int) -> None:
        """Count bytes.

        Raises:
            EwsError: they are too many.
        """
        self._expanded += size
        most = self._bounds.expanded
        if self._size * self._bounds.ratio < self._expanded and self._expanded > self._bounds.small:
            most = max(self._bounds.small, self._size * self._bounds.ratio)
        if self._expanded > most:
            raise EwsError(
                f"{self._archive}: {self._size:,} bytes that expand to more than {most:,}; the archive is refused. "
                f"{_UNPACK}"
            )


def _guarded(archive: Path, content: Callable[[], bytes]) -> bytes:
    with _readable(archive):
        return content()


@contextlib.contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turn what the standard library raises on damaged archives into one readable error."""
    try:
        yield
    except EwsError:
        raise
    except FileNotFoundError as error:
        raise EwsError(f"{archive}: no such file or folder ({error.filename}).") from None
    except RecursionError:  # headers of headers of headers
        raise EwsError(f"{archive}: damaged, or not an archive (its headers are nested). {VALID}") from None
    except (NotImplementedError, RuntimeError) as error:  # what zipfile raises on unknown compression and on encryption
        raise EwsError(f"{archive}: {error}. Pack it without a password, compressed as zip programs do.") from None
    except Exception as error:  # what a flipped bit raises depends on where it is
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise EwsError(f"{archive}: damaged, or not an archive ({reason}). {VALID}") from None


def _checked(archive: Path, name: str, *, regular: bool) -> str:
    """Return the name without a leading ``./``, or refuse the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise EwsError(f"{archive}: member {name!r} leads outside the archive; the archive is refused.")
    if not regular:
        raise EwsError(
            f"{archive}: member {name!r} is a link or a device; the archive is refused. Pack the files themselves."
        )
    return path.as_posix()
