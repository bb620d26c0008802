"""Corrupting anyone's folder of pictures: ``ews corrupt folder``."""

import hashlib
import shutil
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

from ews.core.command_line import Reads
from ews.core.errors import EwsError
from ews.core.faults import reported
from ews.core.files import exclusive
from ews.core.fingerprint import fingerprint
from ews.core.staging import commit, staging
from ews.corruptions import NAMES, SEVERITIES, corrupt
from ews.corruptions.corrupt_images import check_name
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.images.framing import Framing
from ews.images.picture_faults import BadPictures, Fault, listed_in_full, print_faults
from ews.images.picture_folder import skipped_words
from ews.images.pictures import BadPicture, decode, read_content
from ews.images.workers import check_workers, run_all
from ews.pipeline.corrupt.folder_input import find_pictures, look_at_all
from ews.pipeline.corrupt.folder_record import (
    FolderRecord,
    PictureRow,
    check_same,
    joined,
    outdated,
    read_record,
    read_rows,
    write,
)
from ews.pipeline.corrupt.own_images_options import choose, command_parser, try_all
from ews.pipeline.corrupt.picture_formats import KEPT, check_encoding, check_targets, saving, target_of

# Below the folder that is written: pictures until they are whole, under names that are no picture's.
UNFINISHED = ".unfinished"
MEND = (
    "Mend or remove them, or pass over bad pictures with --skip-bad; what cannot be entered or resolved is not passed "
    "over."
)


@dataclass(frozen=True)
class FolderSummary:
    """What was done.

    Attributes:
        pictures: number of those that were corrupted.
        made: corrupted pictures written now.
        there: corrupted pictures that were there already.
        skipped: other files, by ending.
        bad: pictures that were passed over.
    """

    pictures: int
    made: int
    there: int
    skipped: Mapping[str, int]
    bad: tuple[Fault, ...]


def main(words: Sequence[str]) -> None:
    """Run ``ews corrupt folder``."""
    parser = command_parser(
        "folder",
        "Corrupt a folder of pictures of any size: <out>/<name>/<severity>/<path in the folder>, the layout of\n"
        "ImageNet-C. All pictures are decoded before the first is written. Run again after a break, it resumes where\n"
        "it stopped.",
    )
    parser.add_argument(
        "--images", type=Reads(), required=True, help="folder, searched to any depth; links are followed"
    )
    parser.add_argument("--severities", type=_severity, nargs="+", default=list(SEVERITIES), help="default: 1 2 3 4 5")
    parser.add_argument("--resize", type=int, metavar="PIXELS", help="bring the shorter side to this, as torchvision")
    parser.add_argument("--crop", type=int, metavar="PIXELS", help="cut out the central square, after --resize")
    stored = parser.add_mutually_exclusive_group()
    stored.add_argument(
        "--format",
        choices=("png", "jpeg"),
        default="png",
        help="default: png, lossless; jpeg: quality 85, as ImageNet-C",
    )
    stored.add_argument(
        "--keep-names",
        dest="format",
        action="store_const",
        const=KEPT,
        help="store each picture under its own name and in its format; .jpg: quality 85, else lossless",
    )
    parser.add_argument("--skip-bad", action="store_true", help="pass over pictures that cannot be used, and list them")
    parser.add_argument("--allow-empty", action="store_true", help="pass over folders without pictures")
    parser.add_argument(
        "--update", action="store_true", help="pictures were changed, added or removed: make what that touches anew"
    )
    options = parser.parse_args(words)
    with listed_in_full():
        summary = corrupt_folder(
            options.images,
            options.out,
            names=options.names,
            severities=options.severities,
            seed=options.seed,
            profile=options.profile,
            encoding=options.format,
            workers=options.workers,
            framing=Framing(options.resize, options.crop),
            skip_bad=options.skip_bad,
            allow_empty=options.allow_empty,
            update=options.update,
        )
    print_faults(str(options.images), summary.bad)
    print(f"{options.out}: {_words(summary)}.", file=sys.stderr)


def corrupt_folder(
    images: Path,
    out: Path,
    *,
    names: Sequence[str],
    severities: Sequence[int],
    seed: int,
    profile: str | None,
    encoding: str,
    workers: int,
    framing: Framing = Framing(),  # noqa: B008 - immutable
    skip_bad: bool = False,
    allow_empty: bool = False,
    update: bool = False,
) -> FolderSummary:
    """Corrupt every picture of a folder; an image's index is its place in the sorted list of paths.

    How ``out`` was made stands in ``corruptions.json`` there, from which pictures, with their indices, in
    ``pictures.csv``. They are written when all arguments have been checked and all pictures decoded, before the first
    picture. A picture keeps its index when others are mended, added or removed later.

    Args:
        images: the folder to read; links are followed.
        out: the folder to write; pictures that are there already are kept.
        names: the corruptions.
        severities: 1 to 5.
        seed: names the random streams.
        profile: whose constants; None: as in ``out``, or by the size of the first picture.
        encoding: ``"png"``, ``"jpeg"``, or ``"kept"``: each under its own name and in its format.
        workers: processes, 0 or more; 0 and 1 are this process.
        framing: size to which pictures are brought first.
        skip_bad: pass over pictures that cannot be used, which keep their indices for when they are mended.
        allow_empty: pass over folders without pictures.
        update: where pictures were changed, added or removed: remove what was made of the former, make what is missing.

    Raises:
        BadPictures: pictures cannot be used, or folders not entered; all of them.
        EwsError: nothing to corrupt, an invalid argument, ``out`` holds what was made from other pictures, with other
            settings or other code, or another process writes there.
    """
    for name in names:
        check_name(name, NAMES)
    check_workers(workers)
    check_encoding(encoding)
    images, out = Path(images), Path(out)
    listing = find_pictures(images, out, allow_empty=allow_empty)
    check_targets(listing.pictures, encoding, where=images)
    there = read_record(out)
    before = read_rows(out, there) if there else ()

    def record_of(profile: str) -> FolderRecord:
        asked = FolderRecord(
            encoding=encoding, profile=profile, seed=seed, resize=framing.resize, crop=framing.crop, code=_codes(names)
        )
        return joined(there, asked, out=out)

    if there:
        # Other settings are refused before much work, and what was found good with the same ones is good.
        record_of(profile or there.profile)
    rows, bad = look_at_all(images, listing, before, framing=framing, workers=workers)
    if listing.blocked or (bad and not skip_bad):
        raise BadPictures(str(images), [*listing.blocked, *bad], MEND)
    good = [row for row in rows if not row.fault]
    if not good:
        raise EwsError(f"{images}: no picture here can be used: all {len(bad):,} are bad.")
    profile = profile or (there.profile if there else choose(good[0].height, good[0].width))
    try_all(names, severities, seed=seed, profile=profile)
    now = {row.path: row for row in rows}
    if there and not update:
        check_same(before, now, out=out)
    with exclusive(out):
        if read_record(out) != there or (there and read_rows(out, there) != before):
            raise EwsError(f"{out}: another process wrote here meanwhile; run again.")
        record = record_of(profile)
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        _remove(out, outdated(before, now), record)
        write(out, record, rows)
        task = partial(
            _corrupt_picture,
            images=images,
            out=out,
            names=tuple(names),
            severities=tuple(severities),
            record=record,
        )
        made = sum(tqdm(run_all(task, good, workers=workers), total=len(good), unit="image", disable=None))
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    asked_for = len(good) * len(set(names)) * len(set(severities))
    return FolderSummary(len(good), made, asked_for - made, listing.skipped, tuple(bad))


def _codes(names: Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of the code behind each corruption of a folder."""
    return {name: fingerprint("ews.pipeline.corrupt.folder", [CORRUPTIONS[name].implementation]) for name in names}


def _remove(out: Path, rows: Iterable[PictureRow], record: FolderRecord) -> None:
    """Remove what was made of pictures that are no longer the same."""
    for row in rows:
        target = target_of(PurePosixPath(row.path), record.encoding)
        for name in record.code:
            for severity in SEVERITIES:
                (out / name / str(severity) / target).unlink(missing_ok=True)


def _corrupt_picture(
    row: PictureRow,
    *,
    images: Path,
    out: Path,
    names: Sequence[str],
    severities: Sequence[int],
    record: FolderRecord,
) -> int:
    """Write every corrupted version of one picture that is not there yet, and return how many these are."""
    made = 0
    clean = None
    for name in names:
        for severity in severities:
            target = out / name / str(severity) / target_of(PurePosixPath(row.path), record.encoding)
            # What a power cut leaves may have its name and no content.
            if target.exists() and target.stat().st_size:
                continue
            clean = _clean(images / row.path, row, record) if clean is None else clean
            corrupted = corrupt(
                clean, name=name, severity=severity, seed=record.seed, profile=record.profile, indices=[row.number]
            )
            with reported(target), staging(out / UNFINISHED) as room:
                whole = room / f"{row.number}-{name}-{severity}"
                Image.fromarray(corrupted[0]).save(whole, **saving(target))
                target.parent.mkdir(parents=True, exist_ok=True)
                commit([(whole, target)])
            made += 1
    return made


def _clean(path: Path, row: PictureRow, record: FolderRecord) -> np.ndarray:
    """Return a picture as it is corrupted, uint8 [1, H, W, 3].

    Raises:
        EwsError: it is no longer the file that was looked at.
    """
    try:
        content = read_content(path)
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise BadPicture("was changed while the command ran; run it again when nothing writes there")
        return Framing(record.resize, record.crop).apply(decode(content))[np.newaxis]
    except BadPicture as bad:
        raise EwsError(f"{path}: {bad}.") from None


def _words(summary: FolderSummary) -> str:
    parts = [
        f"{summary.pictures:,} pictures",
        f"{summary.made:,} corrupted pictures made",
        f"{summary.there:,} were there",
    ]
    if summary.bad:
        parts.append(f"bad pictures passed over, listed on standard output: {len(summary.bad):,}")
    if summary.skipped:
        parts.append(f"other files passed over: {skipped_words(summary.skipped)}")
    return "; ".join(parts)


def _severity(text: str) -> int:
    if text not in {str(severity) for severity in SEVERITIES}:
        raise ArgumentTypeError(f"{text!r}; valid: 1, 2, 3, 4, 5")
    return int(text)
