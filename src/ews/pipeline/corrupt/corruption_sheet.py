"""The contact sheet: every corruption at every severity in one picture, to be looked at."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ews.core.arrays import read_npy
from ews.core.command_line import Parser, Reads, Writes
from ews.core.errors import EwsError
from ews.core.files import write_all
from ews.corruptions import EXTRA, NAMES, PROFILES, SEVERITIES, corrupt
from ews.corruptions.profiles import profile_for
from ews.data.dataset import Dataset, load
from ews.pipeline.corrupt.stored import TEST_IMAGES, SetRecord, read_record, verify

GAP = 4  # pixels between two pictures
LABEL_WIDTH = 160
LINE = 24  # height of a line of text
FONT_SIZE = 16
TILE = 96  # pixels on the sheet; smaller images are enlarged by a whole factor, larger ones reduced
LARGEST = 10**6  # bytes; above that the sheet gets a palette of 256 colours


def main(words: Sequence[str]) -> None:
    """Run ``ews corrupt sheet``."""
    parser = Parser(
        prog="ews corrupt sheet",
        allow_abbrev=False,
        description="Draw corruptions x severities of some test images. What is stored is read from its file, the rest "
        "is made now, with the same seed and constants; of a published set only what is stored is drawn.",
    )
    parser.add_argument("--data", type=Reads(), required=True, help="the dataset's folder")
    parser.add_argument("--out", type=Writes(), required=True, help="picture to write, .png")
    parser.add_argument("--corrupted", type=Reads(), help="folder of <name>.npy and <name>.json")
    parser.add_argument(
        "--stored",
        nargs="*",
        metavar="NAME",
        choices=NAMES,
        help="which to read from --corrupted; default: all that are there",
    )
    parser.add_argument("--seed", type=int, help="of what is made now; default: that of the stored files, or 0")
    parser.add_argument("--profile", choices=PROFILES, help="default: that of the stored files, or by the images' size")
    options = parser.parse_args(words)
    picture = sheet(
        load(options.data, verify=False),
        corrupted=options.corrupted,
        stored=options.stored,
        seed=options.seed,
        profile=options.profile,
    )
    write_all({options.out: picture})


def sheet(
    dataset: Dataset, *, corrupted: Path | None, stored: Sequence[str] | None, seed: int | None, profile: str | None
) -> bytes:
    """Return the contact sheet of a dataset's corrupted test images as a PNG file; same images, same bytes.

    Each row shows one corruption of one test image, always the same one for the same corruption,
    spread over the set. A corruption that is made now has the bytes that its stored file would have.

    Args:
        dataset: whose test images.
        corrupted: folder of a corrupted set, ``<name>.npy`` with its record ``<name>.json``; None: nothing is stored.
        stored: names to read from there; None: all that are there.
        seed: of what is made now; None: as stored, or 0.
        profile: constants of what is made now; None: as stored, or by the images' size.

    Raises:
        EwsError: a stored file or its record is missing or damaged; it was made of other images, with another seed or
            other constants; or ``stored`` without ``corrupted``.
    """
    if corrupted is None:
        if stored is not None:
            raise EwsError(f"--stored {' '.join(stored)}: read from where? Give --corrupted as well, or neither.")
        stored = []
    elif stored is None:
        stored = [name for name in NAMES if (corrupted / f"{name}.npy").is_file()]
        if not stored:
            raise EwsError(f"{corrupted}: no corrupted sets here. Make them with 'ews corrupt generate'.")
    images = dataset.info.files[TEST_IMAGES]
    records = {name: read_record(corrupted, name, images_sha256=images) for name in stored} if corrupted else {}
    # What was made here has a seed, and may be of a dataset called so.
    official = [name for name, record in records.items() if record.source == "official" and record.seed is None]
    if official and len(official) < len(records):
        others = ", ".join(sorted(set(records) - set(official)))
        raise EwsError(f"{corrupted}: {others}: made here, beside published files. Keep the two in different folders.")
    seed = _agreed("seed", seed, records, corrupted)
    profile = _agreed("profile", profile, records, corrupted)
    seed, profile = seed or 0, profile or profile_for(*dataset.test_images.shape[1:3])
    names = [name for name in NAMES if name in records] if official else list(NAMES)
    places = np.linspace(0, len(dataset.test_images) - 1, len(NAMES)).astype(np.int64)
    chosen = [int(place) for name, place in zip(NAMES, places, strict=True) if name in names]
    rows = [
        _stored(corrupted, name, place, dataset, record=records[name]) if corrupted and name in records
        else _now(dataset, name, place, seed=seed, profile=profile)
        for name, place in zip(names, chosen, strict=True)
    ]  # fmt: skip
    how = "the published files" if official else f"constants: {profile}, seed: {seed}"
    return encode(
        draw(np.asarray(dataset.test_images[chosen]), np.stack(rows), names, title=f"{dataset.name}, corrupted ({how})")
    )


def _agreed(key: str, value: Any, records: Mapping[str, SetRecord], folder: Path | None) -> Any:
    """Return the one value of a setting of all stored sets, which must be ``value`` unless that is None."""
    found = {name: getattr(record, key) for name, record in records.items()}
    for name, other in found.items():
        if other is None:
            continue
        value = other if value is None else value
        if other != value:
            raise EwsError(f"{folder}/{name}.npy: made with {key} {other!r}, not {value!r}. Generate it again.")
    return value


def _now(dataset: Dataset, name: str, place: int, *, seed: int, profile: str) -> NDArray[np.uint8]:
    """Return one image under a corruption at all severities, uint8 [5, H, W, 3]."""
    image = np.asarray(dataset.test_images[[place]])
    return np.concatenate(
        [
            corrupt(image, name=name, severity=severity, seed=seed, profile=profile, indices=[place])
            for severity in SEVERITIES
        ]
    )


def _stored(folder: Path, name: str, place: int, dataset: Dataset, *, record: SetRecord) -> NDArray[np.uint8]:
    """Read one image under a stored corruption at all severities, uint8 [5, H, W, 3], once the file is checked."""
    path = folder / f"{name}.npy"
    blocks = read_npy(path, mapped=True)
    count = len(dataset.test_images)
    expected = (len(SEVERITIES) * count, *dataset.test_images.shape[1:])
    if blocks.dtype != np.uint8 or blocks.shape != expected:
        raise EwsError(f"{path}: is {blocks.dtype} {blocks.shape}; valid is uint8 {expected}. Generate it again.")
    verify(folder, name, record)
    return np.asarray(blocks[place + count * np.arange(len(SEVERITIES))])


def draw(
    clean: NDArray[np.uint8], corrupted: NDArray[np.uint8], names: Sequence[str], *, title: str
) -> NDArray[np.uint8]:
    """Return the sheet: a row per corruption; the clean image, then severities 1 to 5.

    Args:
        clean: uint8 [R, H, W, 3].
        corrupted: uint8 [R, 5, H, W, 3].
        names: R corruptions; those held out for validation are set apart if they come last.
        title: the first line.

    Returns:
        uint8 [height, width, 3].
    """
    height, width = clean.shape[1:3]
    short = min(height, width)
    scale = -(-TILE // short) if short <= TILE else TILE / short
    tile = (round(width * scale), round(height * scale))
    how = Image.Resampling.NEAREST if short <= TILE else Image.Resampling.BOX
    held_out = next((row for row, name in enumerate(names) if name in EXTRA), len(names))
    tops = [2 * LINE + row * (tile[1] + GAP) + (LINE if row >= held_out else 0) for row in range(len(names))]
    columns = 1 + corrupted.shape[1]
    picture = Image.new("RGB", (LABEL_WIDTH + columns * (tile[0] + GAP), tops[-1] + tile[1] + GAP), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    pen.text((GAP, 2), title, fill="black", font=font)
    for column, text in enumerate(["clean", *(f"severity {severity}" for severity in SEVERITIES)]):
        pen.text((LABEL_WIDTH + column * (tile[0] + GAP), LINE), text, fill="black", font=font)
    for row, (name, top) in enumerate(zip(names, tops, strict=True)):
        if row == held_out:
            pen.text((GAP, top - LINE + 1), "Outside the benchmark:", fill="black", font=font)
        pen.text((GAP, top + tile[1] // 2), name.replace("_", " "), fill="black", font=font, anchor="lm")
        for column, image in enumerate([clean[row], *corrupted[row]]):
            place = (LABEL_WIDTH + column * (tile[0] + GAP), top)
            picture.paste(Image.fromarray(image).resize(tile, how), place)
    return np.array(picture)


def encode(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture, uint8 [H, W, 3], as PNG: exactly, or in 256 colours where that is over 1 MB."""
    image = Image.fromarray(picture)
    exact = _png(image)
    if len(exact) <= LARGEST:
        return exact
    return _png(image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
