"""The contact sheet: every corruption at every severity in one picture, to be looked at."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ews.corruptions import NAMES, PROFILES, SEVERITIES, corrupt
from ews.corruptions.driver import profile_for
from ews.data.dataset import load
from ews.errors import EwsError
from ews.files import atomic

GAP = 4
LABEL_WIDTH = 130
LABEL_HEIGHT = 18
SMALLEST_TILE = 96  # pixels on the sheet; smaller images are enlarged by a whole factor


def main(arguments: Sequence[str]) -> None:
    """Run ``python -m ews.corruptions sheet``."""
    parser = ArgumentParser(
        prog="python -m ews.corruptions sheet",
        allow_abbrev=False,
        description="Draw corruptions x severities of test images: from the files of --corrupted, or made now.",
    )
    parser.add_argument("--data", type=Path, required=True, help="the dataset's folder")
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png")
    parser.add_argument("--corrupted", type=Path, help="folder of <name>.npy; its corruptions are drawn")
    parser.add_argument("--seed", type=int, default=0, help="where the images are made now")
    parser.add_argument("--profile", choices=PROFILES, help="default: by the images' size")
    options = parser.parse_args(arguments)
    images = load(options.data, verify=False).test_images
    # One image per row, spread over the set, so that the sheet shows many images and each beside its clean self.
    rows = np.linspace(0, len(images) - 1, len(NAMES)).astype(np.int64)
    if options.corrupted:
        names, corrupted = _from_files(options.corrupted, rows, len(images))
        rows = rows[: len(names)]
    else:
        profile = options.profile or profile_for(*images.shape[1:3])
        names, corrupted = NAMES, _now(images, rows, seed=options.seed, profile=profile)
    with atomic(options.out) as temporary:
        Image.fromarray(draw(np.asarray(images[rows]), corrupted, names)).save(temporary, format="PNG")


def _now(images: NDArray[np.uint8], rows: NDArray[np.int64], *, seed: int, profile: str) -> NDArray[np.uint8]:
    """Return each row's image under the row's corruption, uint8 [19, 5, H, W, 3]."""
    return np.stack(
        [
            np.concatenate(
                [
                    corrupt(
                        np.asarray(images[[row]]),
                        name=name,
                        severity=severity,
                        seed=seed,
                        profile=profile,
                        indices=[int(row)],
                    )
                    for severity in SEVERITIES
                ]
            )
            for name, row in zip(NAMES, rows, strict=True)
        ]
    )


def _from_files(folder: Path, rows: NDArray[np.int64], count: int) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Read each row's image from the files of a corrupted set."""
    names = tuple(name for name in NAMES if (folder / f"{name}.npy").is_file())
    if not names:
        raise EwsError(f"{folder}: no corrupted sets here. Make them with 'python -m ews.corruptions generate'.")
    parts = []
    for name, row in zip(names, rows, strict=False):
        blocks = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if len(blocks) != len(SEVERITIES) * count:
            raise EwsError(f"{folder / name}.npy: {len(blocks)} images; valid are 5 x {count}. Generate it again.")
        parts.append(np.asarray(blocks[row + count * np.arange(len(SEVERITIES))]))
    return names, np.stack(parts)


def draw(clean: NDArray[np.uint8], corrupted: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the sheet: a row per corruption; the clean image, then severities 1 to 5.

    Args:
        clean: uint8 [R, H, W, 3].
        corrupted: uint8 [R, 5, H, W, 3].
        names: R labels.

    Returns:
        uint8 [height, width, 3].
    """
    height, width = clean.shape[1:3]
    factor = max(1, -(-SMALLEST_TILE // min(height, width)))
    step_down, step_right = height * factor + GAP, width * factor + GAP
    columns = 1 + corrupted.shape[1]
    size = (LABEL_WIDTH + columns * step_right, LABEL_HEIGHT + len(names) * step_down)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(["clean", *(f"severity {severity}" for severity in SEVERITIES)]):
        pen.text((LABEL_WIDTH + column * step_right, 2), title, fill="black")
    for row, name in enumerate(names):
        top = LABEL_HEIGHT + row * step_down
        pen.text((GAP, top + height * factor // 2 - 6), name, fill="black")
        for column, image in enumerate([clean[row], *corrupted[row]]):
            tile = Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.NEAREST)
            sheet.paste(tile, (LABEL_WIDTH + column * step_right, top))
    return np.array(sheet)
