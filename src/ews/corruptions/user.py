"""Corrupting anyone's images: a folder of pictures, or one ``.npy`` array."""

import hashlib
import io
import shutil
import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from ews.arrays import check_output, read_labels, write_npy
from ews.corruptions import BENCHMARK, NAMES, PROFILES, SEVERITIES, corrupt
from ews.corruptions.driver import SMALLEST_SIDE, InvalidInput, check_name, profile_for
from ews.corruptions.generate import corrupt_file
from ews.corruptions.images import open_images
from ews.corruptions.workers import check_workers, run_all
from ews.errors import EwsError, unknown
from ews.files import atomic, exclusive, read_json, write_json
from ews.fingerprint import fingerprint

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
# More than 8 bits a channel: Pillow would cut them off at 255.
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def npy_main(arguments: Sequence[str]) -> None:
    """Run ``python -m ews.corruptions npy``."""
    parser = _parser("npy", "Corrupt an array of images: one <out>/<name>.npy per corruption, published layout.")
    parser.add_argument("--images", type=Path, required=True, help=".npy file, uint8 [N, H, W, 3], RGB")
    parser.add_argument("--labels", type=Path, help=".npy file, integers [N]; written five times over to labels.npy")
    options = parser.parse_args(arguments)
    check_workers(options.workers)
    images = open_images(options.images)
    labels = read_labels(options.labels, count=len(images)) if options.labels else None
    inputs = [options.images, *([options.labels] if options.labels else [])]
    for name in (*options.names, *(["labels"] if options.labels else [])):
        check_output(options.out / f"{name}.npy", inputs=inputs)
    profile = options.profile or _choose(*images.shape[1:3])
    _try_all(options.names, SEVERITIES, seed=options.seed, profile=profile)
    for name in options.names:
        corrupt_file(
            options.images,
            options.out / f"{name}.npy",
            name=name,
            seed=options.seed,
            profile=profile,
            workers=options.workers,
            source=options.images.name,
        )
    if labels is not None:
        write_npy(options.out / "labels.npy", np.tile(labels, len(SEVERITIES)))


def _try_all(names: Iterable[str], severities: Iterable[int], *, seed: int, profile: str) -> None:
    """Corrupt a small image in every way, before anything is written: frost's photographs may be missing."""
    small = np.zeros((1, SMALLEST_SIDE, SMALLEST_SIDE, 3), np.uint8)
    for name in names:
        for severity in severities:
            corrupt(small, name=name, severity=severity, seed=seed, profile=profile)


def folder_main(arguments: Sequence[str]) -> None:
    """Run ``python -m ews.corruptions folder``."""
    parser = _parser(
        "folder",
        "Corrupt a folder of pictures of any size: <out>/<name>/<severity>/<path in the folder>, the layout of\n"
        "ImageNet-C. Run again after a break, it goes on where it stopped.",
    )
    parser.add_argument("--images", type=Path, required=True, help="folder, searched to any depth")
    parser.add_argument("--severities", type=_severity, nargs="+", default=list(SEVERITIES), help="default: 1 2 3 4 5")
    parser.add_argument("--format", choices=ENCODINGS, default="png", help="jpeg: quality 85, as ImageNet-C")
    options = parser.parse_args(arguments)
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
        workers: processes, 1 or more.

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
    identity, first = _look_at_all(images, found)
    profile = profile or _choose(*first)
    _try_all(names, severities, seed=seed, profile=profile)
    settings = {**identity, "encoding": encoding, "profile": profile, "seed": seed}
    # Looked at once before the folder is touched, and again when no other process can write there.
    _check_record(out, settings, _codes(names))
    with exclusive(out):
        codes = _check_record(out, settings, _codes(names))
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        write_json(out / RECORD, {**settings, "code": codes})
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


def _look_at_all(images: Path, found: Sequence[Path]) -> tuple[dict[str, Any], tuple[int, int]]:
    """Check the sizes of all pictures; return what tells these pictures from others, and the first one's (H, W).

    Raises:
        EwsError: a picture is unreadable or too small.
    """
    names, contents = hashlib.sha256(), hashlib.sha256()
    first = None
    for path in tqdm(found, desc="looking", unit="image", disable=None):
        with _opened(images / path) as (file, picture):
            width, height = picture.size
            if min(width, height) < SMALLEST_SIDE:
                raise EwsError(
                    f"{images / path}: {width} x {height} pixels; valid are pictures of {SMALLEST_SIDE} or more on "
                    "both sides. Take it out of the folder, or enlarge it."
                )
            first = first or (height, width)
            names.update(path.as_posix().encode("utf-8", "surrogateescape") + b"\0")
            contents.update(hashlib.sha256(file).digest())
    assert first is not None
    # The contents in the order of the names.
    both = {"names_sha256": names.hexdigest(), "images_sha256": contents.hexdigest()}
    return {"images": len(found), **both}, first


def _codes(names: Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of the code behind each corruption of a folder."""
    return {name: fingerprint("ews.corruptions.user", [("ews.corruptions", name)]) for name in names}


def _check_record(out: Path, settings: dict[str, Any], codes: dict[str, str]) -> dict[str, str]:
    """Return the fingerprints for the record: those that are there and the new ones.

    Raises:
        EwsError: what is there was made otherwise.
    """
    record = out / RECORD
    if not record.exists():
        return codes
    there = read_json(record)
    if not isinstance(there, dict) or not isinstance(there.get("code"), dict):
        raise EwsError(f"{record}: not a record of this version. Use another folder for --out, or delete {out}.")
    changed = []
    for key, words in SETTINGS.items():
        if there.get(key) != settings[key]:
            detail = "" if key.endswith("sha256") else f" ({there.get(key)} there, {settings[key]} now)"
            changed.append(words + detail)
    changed += [f"other code for {name}" for name, code in codes.items() if there["code"].get(name, code) != code]
    if changed:
        raise EwsError(
            f"{record}: what is there was made otherwise: {'; '.join(changed)}. Use another folder for --out, "
            f"or delete {out} to make all of it anew."
        )
    return {**there["code"], **codes}


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
            clean = _read(images / path)[np.newaxis] if clean is None else clean
            corrupted = corrupt(clean, name=name, severity=severity, seed=seed, profile=profile, indices=[index])
            whole = out / UNFINISHED / f"{index}-{name}-{severity}"
            try:
                with atomic(whole) as temporary:
                    Image.fromarray(corrupted[0]).save(temporary, **options)
                target.parent.mkdir(parents=True, exist_ok=True)
                whole.replace(target)
            except OSError as problem:
                raise EwsError(
                    f"{target}: cannot be written: {problem.strerror or problem}. Make room, or write elsewhere, "
                    "then run again."
                ) from None


def _read(path: Path) -> NDArray[np.uint8]:
    """Read a picture as it is meant to be seen, turned as its EXIF tag says, uint8 [H, W, 3].

    Raises:
        EwsError: it is unreadable.
    """
    with _opened(path) as (_, picture):
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[bytes, Image.Image]]:
    """Yield a picture's file and the picture, not yet decoded.

    Raises:
        EwsError: it is unreadable, too large to be trusted, or of more than 8 bits; also where the block fails to
            decode it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = path.read_bytes()
            with Image.open(io.BytesIO(file)) as picture:
                if picture.mode in DEEP_MODES:
                    raise EwsError(f"{path}: has more than 8 bits a channel; convert it to 8 bits first.")
                yield file, picture
    except EwsError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise EwsError(
            f"{path}: has more than {Image.MAX_IMAGE_PIXELS:,} pixels, or claims to; take it out of the folder."
        ) from None
    except Exception as error:
        # Decoders of damaged files raise whatever they come upon: OSError, SyntaxError, struct.error and others.
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
        raise EwsError(f"{path}: not a readable picture ({reason}).") from None


def _choose(height: int, width: int) -> str:
    profile = profile_for(height, width)
    print(f"{width} x {height} pixels: the {profile} constants; --profile takes others.", file=sys.stderr)
    return profile


def _severity(text: str) -> int:
    if text not in {str(severity) for severity in SEVERITIES}:
        raise ArgumentTypeError(f"{text!r}; valid: 1, 2, 3, 4, 5")
    return int(text)


def _parser(command: str, description: str) -> ArgumentParser:
    """Return a parser with what both commands take."""
    parser = ArgumentParser(
        prog=f"python -m ews.corruptions {command}",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, required=True, help="any integer; the same seed gives the same bytes")
    parser.add_argument(
        "--names",
        nargs="+",
        metavar="NAME",
        choices=NAMES,
        default=list(BENCHMARK),
        help=f"default: the 15 of the benchmark; valid: {' '.join(NAMES)}",
    )
    parser.add_argument("--profile", choices=PROFILES, help="whose constants; default: by the images' size")
    parser.add_argument("--workers", type=int, default=1, help="processes; changes no byte of the result")
    return parser
