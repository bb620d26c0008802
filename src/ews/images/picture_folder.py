"""Listing the pictures of a folder: links are followed, and nothing is passed over without being counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ews.core.errors import EwsError
from ews.core.folder_walk import walk
from ews.images.picture_faults import Fault
from ews.images.pictures import is_picture

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
    found = walk(folder)
    skipped = Counter({HIDDEN: len(found.hidden)})
    skipped.update(path.suffix.lower() for path in (*found.files, *found.special) if not is_picture(path))
    pictures = [path for path in found.files if is_picture(path)]
    faults = [Fault(str(path), "is no regular file") for path in found.special if is_picture(path)]
    blocked: list[Fault] = []
    for path, reason in found.refused.items():
        (faults if is_picture(path) else blocked).append(Fault(path, reason))
    folders = set(found.folders)
    for picture in (*pictures, *(PurePosixPath(fault.path) for fault in (*faults, *blocked))):
        folders.difference_update(picture.parents)
    outermost = sorted(path for path in folders if path.parent not in folders)
    return PictureListing(
        pictures=tuple(sorted(pictures, key=lambda path: path.parts)),
        skipped=dict(sorted((+skipped).items())),
        empty=tuple(path for path in outermost if path.parts),
        faults=tuple(sorted(faults, key=lambda fault: fault.path)),
        blocked=tuple(sorted(blocked, key=lambda fault: fault.path)),
    )


def skipped_words(skipped: Mapping[str, int]) -> str:
    """Say what was passed over: ``2 hidden, 3 .txt, 1 without an ending``; empty where nothing was."""
    return ", ".join(f"{count:,} {kind or 'without an ending'}" for kind, count in skipped.items())
