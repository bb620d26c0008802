"""Corrupting anyone's images: a folder of pictures, or one ``.npy`` array."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from ews.corruptions import BENCHMARK, NAMES, PROFILES, SEVERITIES, corrupt
from ews.corruptions.driver import check_name, profile_for
from ews.corruptions.generate import corrupt_file
from ews.corruptions.images import open_images
from ews.corruptions.workers import run_all
from ews.errors import EwsError
from ews.files import atomic, read_json, write_json

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
# The published ImageNet-C is stored so.
JPEG = {"format": "JPEG", "quality": 85, "optimize": True}
RECORD = "corruptions.json"


def npy_main(arguments: Sequence[str]) -> None:
    """Run ``python -m ews.corruptions npy``."""
    parser = _parser("npy", "Corrupt an array of images: one <out>/<name>.npy per corruption, published layout.")
    parser.add_argument("--images", type=Path, required=True, help=".npy file, uint8 [N, H, W, 3], RGB")
    parser.add_argument("--labels", type=Path, help=".npy file, integers [N]; written five times over to labels.npy")
    options = parser.parse_args(arguments)
    images = open_images(options.images)
    labels = _labels(options.labels, count=len(images)) if options.labels else None
    profile = options.profile or _choose(*images.shape[1:3])
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
        with atomic(options.out / "labels.npy") as temporary:
            np.save(temporary, np.tile(labels, len(SEVERITIES)))


def _labels(path: Path, *, count: int) -> NDArray[np.int64]:
    """Read the labels of ``count`` images.

    Raises:
        EwsError: they cannot be read, or are not that many integers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EwsError(f"{path}: not a readable .npy file of labels ({error}).") from None
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise EwsError(f"{path}: {values.dtype} {values.shape}; valid are {count} integers, one for each image.")
    return values.astype(np.int64)


def folder_main(arguments: Sequence[str]) -> None:
    """Run ``python -m ews.corruptions folder``."""
    parser = _parser(
        "folder",
        "Corrupt a folder of pictures of any size: <out>/<name>/<severity>/<path in the folder>, the layout of\n"
        "ImageNet-C. Run again after a break, it goes on where it stopped.",
    )
    parser.add_argument("--images", type=Path, required=True, help="folder, searched to any depth")
    parser.add_argument("--severities", type=_severity, nargs="+", default=list(SEVERITIES), help="default: 1 2 3 4 5")
    parser.add_argument("--format", choices=("png", "jpeg"), default="png", help="jpeg: quality 85, as ImageNet-C")
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
        EwsError: nothing to corrupt, an unreadable picture, an invalid argument, or ``out`` holds
            pictures made with other settings.
    """
    for name in names:
        check_name(name, NAMES)
    images, out = Path(images), Path(out)
    if out.resolve().is_relative_to(images.resolve()):
        raise EwsError(f"{out}: lies inside {images}; choose a folder outside, or its pictures become input too.")
    found = sorted(
        (path.relative_to(images) for path in images.rglob("*") if path.suffix.lower() in SUFFIXES),
        key=lambda path: path.parts,
    )
    if not found:
        raise EwsError(f"{images}: no pictures here; valid endings: {', '.join(SUFFIXES)}.")
    targets = {path.with_suffix(f".{encoding}") for path in found}
    if len(targets) != len(found):
        raise EwsError(f"{images}: two pictures have the same path but for the ending; rename one.")
    if profile is None:
        profile = _choose(*_read(images / found[0]).shape[:2])
    settings = {"encoding": encoding, "images": len(found), "profile": profile, "seed": seed}
    record = out / RECORD
    if record.exists() and read_json(record) != settings:
        raise EwsError(f"{record}: made with other settings ({read_json(record)}, now {settings}). Use another folder.")
    write_json(record, settings)
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
            with atomic(target) as temporary:
                Image.fromarray(corrupted[0]).save(temporary, **options)


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise EwsError(f"{path}: not a readable picture ({error}).") from None


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
