"""Under which name and in which format a corrupted picture is stored."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ews.core.errors import EwsError, unknown
from ews.images.pictures import ENDINGS

# The published ImageNet-C is stored so.
JPEG = {"format": "JPEG", "quality": 85, "optimize": True}
KEPT = "kept"
# By ending: how all pictures are stored, or ``kept``: each as it is called.
ENCODINGS = ("png", "jpeg", KEPT)
# All but JPEG keep every value. GIF, of 256 colours, and AVIF would change a corrupted picture.
_SAVING: Mapping[str, Mapping[str, Any]] = {
    "JPEG": JPEG,
    "PNG": {"format": "PNG"},
    "BMP": {"format": "BMP"},
    "PPM": {"format": "PPM"},
    "TIFF": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "WEBP": {"format": "WEBP", "lossless": True},
    "JPEG2000": {"format": "JPEG2000"},
}
_OPTIONS: dict[str, dict[str, Any]] = {
    ending: {**options, "no_jp2": True} if ending in (".j2k", ".j2c", ".jpc") else dict(options)
    for kind, options in _SAVING.items()
    for ending in ENDINGS[kind]
}
_NAMED = 3


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that does not exist.

    Raises:
        EwsError: naming the valid ones.
    """
    if encoding not in ENCODINGS:
        raise unknown("encoding", encoding, ENCODINGS)


def target_of(path: PurePosixPath, encoding: str) -> PurePosixPath:
    """Return the path of a corrupted picture, relative, as its original's."""
    return path if encoding == KEPT else path.with_suffix(f".{encoding}")


def saving(target: PurePosixPath | Path) -> dict[str, Any]:
    """Return the options with which Pillow stores a picture of that name."""
    return _OPTIONS[target.suffix.lower()]


def check_targets(pictures: Iterable[PurePosixPath], encoding: str, *, where: Path) -> None:
    """Refuse pictures that would be stored under one name, or cannot be stored under their own.

    Raises:
        EwsError: naming the first of them.
    """
    taken: dict[PurePosixPath, PurePosixPath] = {}
    unfit = []
    for path in pictures:
        target = target_of(path, encoding)
        other = taken.setdefault(target, path)
        if other is not path:
            raise EwsError(
                f"{where}: {other} and {path} would both become {target}; rename one, or keep all names (--keep-names)."
            )
        if target.suffix.lower() not in _OPTIONS:
            unfit.append(path)
    if unfit:
        raise EwsError(
            f"{where}: --keep-names: {', '.join(map(str, unfit[:_NAMED]))}{', ...' * (len(unfit) > _NAMED)}: "
            f"{len(unfit):,} of a format that would change the corrupted pictures; valid: {', '.join(_OPTIONS)}. "
            "Take --format instead."
        )
