"""Make `data/<dataset>-extra/` of a file with extra images: `ews data extra --data data/cifar10 ...`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core.arrays import read_npz, write_npy
from ews.core.command_line import Parser, Reads, ReadsText, check_places
from ews.core.documents import write_sealed
from ews.core.errors import EwsError
from ews.core.files import exclusive, sha256, staged
from ews.core.fingerprint import check_fingerprint, fingerprint
from ews.data import arrays_pickle
from ews.data.archives import Bounds, members
from ews.data.dataset import Dataset, load
from ews.data.extra import IMAGES, INFO, LABELS, ExtraInfo, ExtraSource, check_extra, folder_of

DOWNLOADS = Path("data/.downloads")
# The array of the 500,000 published images takes 1.5 GB.
BOUNDS = Bounds(member=2**34)
# How the published file (Carmon et al. 2019) and files of one's own name their two arrays.
NAMES = (("data", "extrapolated_targets"), ("images", "labels"), ("image", "label"))


def main(argv: Sequence[str]) -> None:
    """Convert one file and say what it holds."""
    parser = Parser(prog="ews data extra", description=__doc__)
    parser.add_argument("--data", required=True, type=Reads(), help="folder of the dataset, e.g. data/cifar10")
    parser.add_argument(
        "--file", required=True, type=ReadsText(), help="pickle or .npz: a path, or a name in the mirror or the cache"
    )
    parser.add_argument("--page", default="", help="where people can download it; for the message if it is missing")
    parser.add_argument("--sha256", metavar="HEX", help="refuse any other file")
    parser.add_argument("--mirror", type=Reads(), help="folder that holds the file; EWS_MIRROR is tried next")
    parser.add_argument("--fingerprint", metavar="HEX", help="refuse to run if the code is not this one")
    arguments = parser.parse_args(argv)
    out = folder_of(arguments.data)
    check_fingerprint(arguments.fingerprint, fingerprint("ews.data.convert"), where=str(out))
    names = {"--data": [arguments.data], "--file": [Path(arguments.file)]}
    check_places(out, inputs=names, option=f"the folder of --data {arguments.data},", files=(IMAGES, LABELS, INFO))
    source = locate(arguments.file, mirror=arguments.mirror, page=arguments.page)
    info = convert(source, dataset=load(arguments.data), out=out, expected=arguments.sha256)
    print(f"{out}: {info.images} images of {source.name}, SHA-256 {info.source.sha256}")


def locate(name: str, *, mirror: Path | None, page: str) -> Path:
    """Return where a file is: the path itself, or in a mirror's folder or the cache of downloads.

    Raises:
        EwsError: nowhere; the message says where to get it and where to put it.
    """
    named = [str(mirror or ""), os.environ.get("EWS_MIRROR", "")]
    # An address is no place to look: this file is fetched by hand.
    folders = [Path(text.removeprefix("file://")).expanduser() for text in named if text and not _is_address(text)]
    places = [Path(name), *(folder / name for folder in folders), DOWNLOADS / name]
    for place in places:
        if place.is_file():
            return place
    where = f"Download it in a browser from the link on {page}, then" if page else "Get it, and"
    raise EwsError(f"{name}: not found in {', '.join(map(str, places))}. {where} put it into {DOWNLOADS}.")


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http:/", "https:/"))


def convert(source: Path, *, dataset: Dataset, out: Path, expected: str | None) -> ExtraInfo:
    """Write images.npy, labels.npy and, last, extra.json; the same source gives the same bytes.

    Args:
        source: a pickle (:mod:`ews.data.arrays_pickle`) or .npz with two arrays called as in :data:`NAMES`: uint8
            [N, H, W, 3] and whole numbers [N].
        dataset: whose classes and size the images have.
        out: the folder to write.
        expected: SHA-256 of the source; None: any.

    Returns:
        the content of extra.json.

    Raises:
        EwsError: another file than expected, not readable, it does not fit the dataset, or test images are among it.
    """
    digest = sha256(source)
    if expected is not None and digest != expected:
        raise EwsError(f"{source}: its SHA-256 is {digest}, not {expected}: another file, or a damaged one.")
    images, labels = _arrays(_read(source), source)
    check_extra(images, labels, size=dataset.image_size, classes=len(dataset.classes), where=str(source))
    tests = {image.tobytes() for image in dataset.test_images}
    leaked = sum(image.tobytes() in tests for image in images)
    if leaked:
        raise EwsError(f"{source}: {leaked} of its images are test images of {dataset.name}; remove them first.")
    with exclusive(out.parent / ".locks" / out.name):
        with staged(out, last=INFO) as new:
            files = {name: write_npy(new / name, array) for name, array in ((IMAGES, images), (LABELS, labels))}
            info = ExtraInfo(
                dataset=dataset.name,
                images=len(images),
                source=ExtraSource(file=source.name, sha256=digest),
                files=files,
            )
            write_sealed(new / INFO, info)
    return info


def _read(source: Path) -> dict[str, Any]:
    """Read a file as what its first bytes say: an .npz is a zip."""
    with source.open("rb") as file:
        packed = file.read(4).startswith(b"PK")
    if packed:
        for _ in members(source, BOUNDS):
            pass  # More than the bounds allow is refused here, and nothing is read of it.
    return read_npz(source) if packed or source.suffix == ".npz" else arrays_pickle.read(source)


def _arrays(content: dict[str, Any], source: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    for first, second in NAMES:
        if first in content and second in content:
            images, labels = np.asarray(content[first]), np.asarray(content[second])
            if labels.dtype.kind in "ui":
                labels = labels.astype(np.int64)
            return np.ascontiguousarray(images), labels
    names = " or ".join(f"{first!r} and {second!r}" for first, second in NAMES)
    raise EwsError(f"{source}: holds {', '.join(map(repr, content)) or 'nothing'}; needed: {names}.")
