"""Finished work: what its files are and what they depend on, so that the same command given again finds it done.

A workflow manager that is killed does not see its jobs end. Started again it deletes their outputs, whole as they are,
and has them made anew. Work that such a program manages is therefore kept a second time, by hard links under a hidden
name, until the next step begins: that is the sign that the manager has noted its end.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.files import atomic, sha256

LIST = "finished.json"
KEPT = ".kept"
"""Ending of kept files, so that a search for an output's name finds the output alone."""
MANAGED = (
    "for a workflow manager, which may delete the outputs of a job whose end it did not see: keep what is finished a "
    "second time, by hard links under a hidden name, until the next step begins with this option"
)
"""Help of the option ``--managed``."""


class _List(Document):
    """What finished work is.

    Attributes:
        identity: all that it depends on.
        files: SHA-256 of its files by name.
    """

    identity: dict[str, JsonValue]
    files: dict[str, str]


@dataclass(frozen=True)
class Finished:
    """Finished work, each file of it whole: in its place, or kept.

    Attributes:
        out: the file that vouches for the others, which lie beside it.
        missing: names of the files that are not whole in their places, that of ``out`` last.
    """

    out: Path
    missing: tuple[str, ...]

    def place(self, *, keep: bool) -> None:
        """Put the missing files in their places, ``out`` last; ``keep``: by links, so that what is kept stays."""
        for name in self.missing:
            source, target = kept(self.out, name), self.out.with_name(name)
            if keep:
                link(source, target)
            else:
                source.replace(target)


def folder_of(out: Path) -> Path:
    """Return the hidden folder beside an output for what says that it is finished, and for what is kept of it."""
    return out.with_name(f".{out.name}.finished")


def kept(out: Path, name: str) -> Path:
    """Return the path under which a file of finished work is kept."""
    return folder_of(out) / f"{name}{KEPT}"


def find(out: Path, identity: Mapping[str, Any]) -> Finished | None:
    """Return the finished work behind ``out``; None where there is none, or a file of it is damaged or missing.

    Args:
        out: the file that vouches for the others.
        identity: all that it depends on (JSON types); other work does not count.
    """
    try:
        found = read_sealed(folder_of(out) / LIST, _List, remedy="")
    except EwsError:
        return None
    if found.identity != _plain(identity) or out.name not in found.files or any("/" in name for name in found.files):
        return None
    missing = {name: checksum for name, checksum in found.files.items() if not _whole(out.with_name(name), checksum)}
    if not all(_whole(kept(out, name), checksum) for name, checksum in missing.items()):
        return None
    return Finished(out, _ordered(missing, last=out.name))


@contextlib.contextmanager
def finishing(out: Path, identity: Mapping[str, Any], *, keep: bool) -> Iterator[Path]:
    """Yield a folder for the files of work that is about to be finished, by their own names.

    When the block ends without error they take their places beside ``out``, ``out`` last. Killed at any moment, the
    work is finished as a whole, and :func:`find` returns it, or not at all.

    Args:
        out: the file that vouches for the others; one of them.
        identity: as in :func:`find`.
        keep: keep the files a second time until :func:`let_go`.
    """
    folder = folder_of(out)
    forget(out)
    folder.mkdir(parents=True)
    yield folder
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    for name in files:
        (folder / name).replace(kept(out, name))
    write_sealed(folder / LIST, _List(identity=_plain(identity), files=files))
    Finished(out, _ordered(files, last=out.name)).place(keep=keep)


def let_go(out: Path) -> None:
    """Keep the files of finished work no longer: whoever manages it knows of its end.

    What is kept in a folder that this process may not write stays.
    """
    with contextlib.suppress(OSError):
        for path in folder_of(out).glob(f"*{KEPT}"):
            path.unlink()


def forget(out: Path) -> None:
    """Remove the folder of finished work, with what is kept there; the files beside it stay."""
    shutil.rmtree(folder_of(out), ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, atomically, in place of what is there; a copy on a file system without hard links."""
    temporary = target.with_name(f".{target.name}.link")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
        return
    temporary.replace(target)
    # Both were names of one file already, which a renaming leaves alone.
    temporary.unlink(missing_ok=True)


def _whole(path: Path, checksum: str) -> bool:
    return path.is_file() and sha256(path) == checksum


def _ordered(names: Iterable[str], *, last: str) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (name == last, name)))


def _plain(identity: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return an identity as it comes back from a file."""
    plain: dict[str, JsonValue] = json.loads(json.dumps(identity))
    return plain
