"""Corrupting anyone's folder of pictures: ``ews corrupt folder``."""

import shutil
from argparse import ArgumentTypeError
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ews.core.documents import read_document, write_document
from ews.core.errors import EwsError, unknown
from ews.core.faults import reported
from ews.core.files import exclusive
from ews.core.fingerprint import fingerprint
from ews.core.places import Reads
from ews.core.staging import commit, staging
from ews.corruptions import NAMES, SEVERITIES, corrupt
from ews.corruptions.corrupt_images import SMALLEST_SIDE, InvalidInput, check_name
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.images.pictures import Pictures, look_at_all, read_picture
from ews.images.workers import check_workers, run_all
from ews.pipeline.corrupt.own_images_options import choose, command_parser, try_all

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
# The published ImageNet-C is stored so.
JPEG = {"format": "JPEG", "quality": 85, "optimize": True}
RECORD = "corruptions.json"
# Below the folder that is written: pictures until they are whole, under names that are no picture's.
UNFINISHED = ".unfinished"
ENCODINGS = ("png", "jpeg")
# What a record holds, but for the code, and how a difference is put into words.
SETTINGS = {
    "seed": "another seed",
    "profile": "another profile",
    "encoding": "another format",
    "images": "another number of pictures",
    "names_sha256": "pictures added, removed or renamed",
    "images_sha256": "pictures with other content",
}


class FolderRecord(Pictures):
    """What a folder of corrupted pictures was made from, and how.

    Attributes:
        encoding, profile, seed: see :func:`corrupt_folder`.
        code: by corruption, the fingerprint of the code behind it.
    """

    encoding: str
    profile: str
    seed: int
    code: dict[str, str]


def main(words: Sequence[str]) -> None:
    """Run ``ews corrupt folder``."""
    parser = command_parser(
        "folder",
        "Corrupt a folder of pictures of any size: <out>/<name>/<severity>/<path in the folder>, the layout of\n"
        "ImageNet-C. Run again after a break, it resumes where it stopped.",
    )
    parser.add_argument("--images", type=Reads(), required=True, help="folder, searched to any depth")
    parser.add_argument("--severities", type=_severity, nargs="+", default=list(SEVERITIES), help="default: 1 2 3 4 5")
    parser.add_argument("--format", choices=ENCODINGS, default="png", help="jpeg: quality 85, as ImageNet-C")
    options = parser.parse_args(words)
    corrupt_folder(
        options.images,
        options.out,
        names=options.names,
        severities=options.severities,
        seed=options.seed,
        profile=options.profile,
        encoding=options.format,
        workers=options.workers,
    )


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
) -> None:
    """Corrupt every picture of a folder; an image's index is its place in the sorted list of paths.

    What ``out`` was made from and with stands in ``corruptions.json`` there. It is written when all arguments and the
    sizes of all pictures have been checked, before the first picture.

    Args:
        images: the folder to read.
        out: the folder to write; pictures that are there already are kept.
        names: the corruptions.
        severities: 1 to 5.
        seed: names the random streams.
        profile: whose constants; None: by the size of the first picture.
        encoding: ``"png"`` or ``"jpeg"``.
        workers: processes, 0 or more; 0 and 1 are this process.

    Raises:
        EwsError: nothing to corrupt, an unreadable picture, an invalid argument, ``out`` holds what was made from
            other pictures, with other settings or other code, or another process writes there.
    """
    for name in names:
        check_name(name, NAMES)
    check_workers(workers)
    if encoding not in ENCODINGS:
        raise InvalidInput(str(unknown("encoding", encoding, ENCODINGS)))
    images, out = Path(images), Path(out)
    if out.exists() and not out.is_dir():
        raise EwsError(f"{out}: is no folder; choose another name.")
    if out.resolve().is_relative_to(images.resolve()):
        raise EwsError(f"{out}: lies inside {images}; choose a folder outside, or its pictures become input too.")
    found = sorted(
        (path.relative_to(images) for path in images.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()),
        key=lambda path: path.parts,
    )
    if not found:
        raise EwsError(f"{images}: no pictures here; valid endings: {', '.join(SUFFIXES)}.")
    targets = {path.with_suffix(f".{encoding}") for path in found}
    if len(targets) != len(found):
        raise EwsError(f"{images}: two pictures have the same path but for the ending; rename one.")
    identity, first = look_at_all(images, found, smallest=SMALLEST_SIDE)
    profile = profile or choose(*first)
    try_all(names, severities, seed=seed, profile=profile)
    record = FolderRecord(**identity.model_dump(), encoding=encoding, profile=profile, seed=seed, code=_codes(names))
    # Looked at once before the folder is touched, and again when no other process can write there.
    _joined(out, record)
    with exclusive(out):
        record = _joined(out, record)
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        write_document(out / RECORD, record)
        task = partial(
            _corrupt_picture,
            images=images,
            out=out,
            names=tuple(names),
            severities=tuple(severities),
            seed=seed,
            profile=profile,
            encoding=encoding,
        )
        for _ in tqdm(run_all(task, enumerate(found), workers=workers), total=len(found), unit="image", disable=None):
            pass
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _codes(names: Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of the code behind each corruption of a folder."""
    return {name: fingerprint("ews.pipeline.corrupt.folder", [CORRUPTIONS[name].implementation]) for name in names}


def _joined(out: Path, asked: FolderRecord) -> FolderRecord:
    """Return the record of the folder with what is asked for: the corruptions that are there and the new ones.

    Raises:
        EwsError: what is there was made otherwise.
    """
    path = out / RECORD
    if not path.exists():
        return asked
    there = read_document(path, FolderRecord, remedy=f"Use another folder for --out, or delete {out}.")
    changed = []
    for key, words in SETTINGS.items():
        before, now = getattr(there, key), getattr(asked, key)
        if before != now:
            changed.append(words if key.endswith("sha256") else f"{words} ({before} there, {now} now)")
    changed += [f"other code for {name}" for name, code in asked.code.items() if there.code.get(name, code) != code]
    if changed:
        raise EwsError(
            f"{path}: what is there was made otherwise: {'; '.join(changed)}. Use another folder for --out, "
            f"or delete {out} to make all of it anew."
        )
    return asked.model_copy(update={"code": {**there.code, **asked.code}})


def _corrupt_picture(
    item: tuple[int, Path],
    *,
    images: Path,
    out: Path,
    names: Sequence[str],
    severities: Sequence[int],
    seed: int,
    profile: str,
    encoding: str,
) -> None:
    """Write every corrupted version of one picture that is not there yet."""
    index, path = item
    options: dict[str, Any] = JPEG if encoding == "jpeg" else {"format": "PNG"}
    clean = None
    for name in names:
        for severity in severities:
            target = (out / name / str(severity) / path).with_suffix(f".{encoding}")
            if target.exists():
                continue
            clean = read_picture(images / path)[np.newaxis] if clean is None else clean
            corrupted = corrupt(clean, name=name, severity=severity, seed=seed, profile=profile, indices=[index])
            with reported(target), staging(out / UNFINISHED) as room:
                whole = room / f"{index}-{name}-{severity}"
                Image.fromarray(corrupted[0]).save(whole, **options)
                target.parent.mkdir(parents=True, exist_ok=True)
                commit([(whole, target)])


def _severity(text: str) -> int:
    if text not in {str(severity) for severity in SEVERITIES}:
        raise ArgumentTypeError(f"{text!r}; valid: 1, 2, 3, 4, 5")
    return int(text)
