"""The pictures of a folder that is to be corrupted: all are listed and decoded before anything is written."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ews.core.errors import EwsError
from ews.corruptions.corrupt_images import LARGEST_SIDE, SMALLEST_SIDE, fits
from ews.images.framing import Framing
from ews.images.picture_faults import Fault
from ews.images.picture_folder import PictureListing, list_pictures, skipped_words
from ews.images.pictures import SUFFIXES, BadPicture, decode, read_content
from ews.images.workers import run_all
from ews.pipeline.corrupt.folder_record import PictureRow, numbers_of

NAMED = 5


@dataclass(frozen=True)
class _Look:
    """What a picture is: its checksum, empty if it cannot be read; the size of what is corrupted, or what is wrong."""

    sha256: str
    height: int = 0
    width: int = 0
    fault: str = ""


def find_pictures(images: Path, out: Path, *, allow_empty: bool) -> PictureListing:
    """Return what lies in a folder, once it is sure that something does and that nothing is lost.

    Raises:
        EwsError: no folder, no pictures, folders without pictures, or ``out`` is no folder or lies inside.
    """
    if out.exists() and not out.is_dir():
        raise EwsError(f"{out}: is no folder; choose another name.")
    listing = list_pictures(images)
    inside = {images, *(images / path.parent for path in listing.pictures)}
    if out.resolve().is_relative_to(images.resolve()) or any(
        path.resolve().is_relative_to(out.resolve()) for path in inside
    ):
        raise EwsError(f"{out}: lies inside {images}; choose a folder outside, or its pictures become input too.")
    if not listing.pictures and not listing.faults and not listing.blocked:
        passed = f" Passed over: {words}." if (words := skipped_words(listing.skipped)) else ""
        raise EwsError(f"{images}: no pictures here; valid endings: {', '.join(SUFFIXES)}.{passed}")
    if listing.empty and not allow_empty:
        some = ", ".join(map(str, listing.empty[:NAMED])) + ", ..." * (len(listing.empty) > NAMED)
        raise EwsError(
            f"{images}: folders without pictures ({len(listing.empty):,}): {some}. Fill or remove them, or give "
            "--allow-empty."
        )
    return listing


def look_at_all(
    images: Path,
    listing: PictureListing,
    before: Sequence[PictureRow],
    *,
    framing: Framing,
    workers: int,
) -> tuple[list[PictureRow], list[Fault]]:
    """Return all pictures with their indices, and what is wrong with those that are bad.

    Args:
        images: the folder.
        listing: what lies there.
        before: the pictures of an earlier start with the same framing; what it found good is not decoded again.
        framing: the size to which they are brought.
        workers: processes.
    """
    known = {row.path: row for row in before if not row.fault}
    found = [(path, known.get(str(path))) for path in listing.pictures]
    look = partial(_look, images=images, framing=framing)
    looks = list(
        tqdm(run_all(look, found, workers=workers), total=len(found), desc="looking", unit="image", disable=None)
    )
    about = {str(path): one for (path, _), one in zip(found, looks, strict=True)}
    about |= {fault.path: _Look("", fault=fault.reason) for fault in listing.faults}
    paths = sorted(about, key=lambda path: PurePosixPath(path).parts)
    numbers = numbers_of(paths, before)
    rows = [
        PictureRow(path, numbers[path], one.sha256, one.height, one.width, one.fault)
        for path, one in ((path, about[path]) for path in paths)
    ]
    return rows, [Fault(row.path, row.fault) for row in rows if row.fault]


def _look(item: tuple[PurePosixPath, PictureRow | None], *, images: Path, framing: Framing) -> _Look:
    """Decode a picture, unless it was found good before, and say what it is."""
    path, known = item
    digest = ""
    try:
        content = read_content(images / path)
        digest = hashlib.sha256(content).hexdigest()
        if known is not None and known.sha256 == digest:
            return _Look(digest, known.height, known.width)
        height, width = framing.apply(decode(content)).shape[:2]
        if not fits(height, width):
            raise BadPicture(
                f"{width} x {height} pixels; valid are pictures of {SMALLEST_SIDE} to {LARGEST_SIDE:,} on both sides"
            )
    except BadPicture as bad:
        return _Look(digest, fault=str(bad))
    return _Look(digest, height, width)
