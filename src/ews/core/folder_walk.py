"""Walking through a folder: links are followed, and nothing that lies in it is lost without a word."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath


@dataclass
class Walk:
    """What lies in a folder, at any depth, but for what lies in hidden folders; all paths are relative.

    Attributes:
        files: regular files, and links to some.
        special: pipes, sockets and devices.
        folders: those that were entered, itself first.
        hidden: files and folders whose names begin with a dot, or that macOS adds; none of them is entered.
        refused: what cannot be entered or resolved, as it can be shown, and why: what lies behind it is unknown.
    """

    files: list[PurePosixPath] = field(default_factory=list)
    special: list[PurePosixPath] = field(default_factory=list)
    folders: list[PurePosixPath] = field(default_factory=list)
    hidden: list[PurePosixPath] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def is_hidden(path: str | PurePath) -> bool:
    """Say whether a file is hidden: a part of its relative path begins with a dot, or is a folder that macOS adds."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePath(path).parts)


def walk(root: Path) -> Walk:
    """Return what lies in a folder; links to files and folders are followed."""
    found = Walk()
    # A folder with the identities of all that it lies in: a link to one of them would never end.
    pending: list[tuple[PurePosixPath, frozenset[tuple[int, int]]]] = [(PurePosixPath(), frozenset())]
    while pending:
        here, within = pending.pop()
        try:
            about = os.stat(root / here)
            identity = (about.st_dev, about.st_ino)
            if identity in within:
                found.refused[str(here)] = "is a link to a folder that it lies in; remove the link"
                continue
            with os.scandir(root / here) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            found.refused[str(here)] = f"cannot be entered: {error.strerror or error}"
            continue
        found.folders.append(here)
        pending += [(here / name, within | {identity}) for name in names if _is_folder(root, here / name, found)]
    return found


def _is_folder(root: Path, path: PurePosixPath, found: Walk) -> bool:
    """Say whether to enter it; all else is noted."""
    if is_hidden(path.name):
        found.hidden.append(path)
        return False
    if not _is_utf8(path.name):
        found.refused[str(path).encode("utf-8", "backslashreplace").decode()] = "its name is not UTF-8; rename it"
        return False
    try:
        mode = os.stat(root / path).st_mode
    except OSError as error:
        what = "is a link that cannot be resolved" if os.path.islink(root / path) else "cannot be read"
        found.refused[str(path)] = f"{what}: {error.strerror or error}"
        return False
    if not stat.S_ISDIR(mode):
        (found.files if stat.S_ISREG(mode) else found.special).append(path)
    return stat.S_ISDIR(mode)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
