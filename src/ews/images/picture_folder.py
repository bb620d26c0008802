"""Listing the pictures of a folder: links are followed, and nothing is passed over without being counted."""

import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ews.core.errors import EwsError
from ews.images.picture_faults import Fault
from ews.images.pictures import is_hidden, is_picture

HIDDEN = "hidden"


@dataclass(frozen=True)
class PictureListing:
    """What lies in a folder.

    Attributes:
        pictures: files that are pictures by their ending, in the order of the parts of their paths; relative.
        skipped: numbers of other files, by ending (with its dot; empty: none) or as ``"hidden"``: a hidden folder is
            one.
        empty: folders without a picture in them or below them, good or bad, the outermost alone; relative.
        faults: files of a picture's ending that are none: links that lead nowhere, devices, names in no UTF-8.
        blocked: other things that cannot be entered or resolved: what lies behind them is unknown.
    """

    pictures: tuple[PurePosixPath, ...]
    skipped: Mapping[str, int]
    empty: tuple[PurePosixPath, ...]
    faults: tuple[Fault, ...]
    blocked: tuple[Fault, ...]


def list_pictures(folder: Path) -> PictureListing:
    """Return what lies in a folder, at any depth; links to files and folders are followed.

    Raises:
        EwsError: there is no such folder.
    """
    if not folder.exists():
        raise EwsError(f"{folder}: no such folder.")
    if not folder.is_dir():
        raise EwsError(f"{folder}: is no folder.")
    walk = _Walk(folder)
    walk.run()
    folders = set(walk.folders)
    for path in (*walk.pictures, *(PurePosixPath(fault.path) for fault in (*walk.faults, *walk.blocked))):
        folders.difference_update(path.parents)
    outermost = sorted(path for path in folders if path.parent not in folders)
    return PictureListing(
        pictures=tuple(sorted(walk.pictures, key=lambda path: path.parts)),
        skipped=dict(sorted(walk.skipped.items())),
        empty=tuple(path for path in outermost if path.parts),
        faults=tuple(sorted(walk.faults, key=lambda fault: fault.path)),
        blocked=tuple(sorted(walk.blocked, key=lambda fault: fault.path)),
    )


def skipped_words(skipped: Mapping[str, int]) -> str:
    """Say what was passed over: ``2 hidden, 3 .txt, 1 without an ending``; empty where nothing was."""
    return ", ".join(f"{count:,} {kind or 'without an ending'}" for kind, count in skipped.items())


class _Walk:
    """A walk through a folder; what it found so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pictures: list[PurePosixPath] = []
        self.skipped: Counter[str] = Counter()
        self.folders: list[PurePosixPath] = []
        self.faults: list[Fault] = []
        self.blocked: list[Fault] = []

    def run(self) -> None:
        # A folder with the identities of all that it lies in: a link to one of them would never end.
        pending: list[tuple[PurePosixPath, frozenset[tuple[int, int]]]] = [(PurePosixPath(), frozenset())]
        while pending:
            here, within = pending.pop()
            try:
                about = os.stat(self.root / here)
                identity = (about.st_dev, about.st_ino)
                if identity in within:
                    self.blocked.append(Fault(str(here), "is a link to a folder that it lies in; remove the link"))
                    continue
                with os.scandir(self.root / here) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError as error:
                reason = f"cannot be entered: {error.strerror or error}"
                self.blocked.append(Fault(str(here), reason))
                continue
            self.folders.append(here)
            pending += [(path, within | {identity}) for name in names if (path := self._folder(here / name))]

    def _folder(self, path: PurePosixPath) -> PurePosixPath | None:
        """Return the path where it is a folder to be entered, and note it otherwise."""
        if is_hidden(path.name):
            self.skipped[HIDDEN] += 1
            return None
        if not _is_utf8(path.name):
            shown = str(path).encode("utf-8", "backslashreplace").decode()
            self._refuse(path, Fault(shown, "its name is not UTF-8; rename it"))
            return None
        try:
            mode = os.stat(self.root / path).st_mode
        except OSError as error:
            linked = os.path.islink(self.root / path)
            what = "is a link that cannot be resolved" if linked else "cannot be read"
            self._refuse(path, Fault(str(path), f"{what}: {error.strerror or error}"))
            return None
        if stat.S_ISDIR(mode):
            return path
        if not is_picture(path):
            self.skipped[path.suffix.lower()] += 1
        elif stat.S_ISREG(mode):
            self.pictures.append(path)
        else:
            self.faults.append(Fault(str(path), "is no regular file"))
        return None

    def _refuse(self, path: PurePosixPath, fault: Fault) -> None:
        (self.faults if is_picture(path) else self.blocked).append(fault)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
