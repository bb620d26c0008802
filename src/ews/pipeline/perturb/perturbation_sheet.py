"""The contact sheet: every perturbation's frames in one picture, to be looked at."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ews.core.files import write_all
from ews.images.reading import open_images
from ews.perturbations import NAMES, frames, perturb

SHOWN = 11  # frames per row, from the first to the last
GAP = 4
LABEL_WIDTH = 110
LABEL_HEIGHT = 18
SMALLEST_TILE = 96  # pixels on the sheet; smaller images are enlarged by a whole factor


def save(images: Path, out: Path, *, seed: int, profile: str, crop: int | None) -> None:
    """Draw the frames of images spread over a set, one for each perturbation, and write the picture.

    Raises:
        EwsError: a file cannot be read or written, or an argument is not valid.
    """
    still = open_images(images)
    chosen = np.linspace(0, len(still) - 1, len(NAMES)).astype(np.int64)
    rows = []
    for name, index in zip(NAMES, chosen, strict=True):
        image = np.array(still[[index]])
        rows.append(perturb(image, name=name, seed=seed, profile=profile, indices=[int(index)], crop=crop)[0])
    picture = io.BytesIO()
    Image.fromarray(draw(rows, profile=profile)).save(picture, format="PNG")
    write_all({out: picture.getvalue()})


def draw(rows: list[NDArray[np.uint8]], *, profile: str) -> NDArray[np.uint8]:
    """Return the sheet, uint8 [height, width, 3]: a row per perturbation, its frames from left to right.

    Args:
        rows: in the order of ``NAMES``, each uint8 [T, H, W, 3] with an H and W that are the same for all.
        profile: whose numbers of frames the rows have.
    """
    height, width = rows[0].shape[1:3]
    factor = max(1, -(-SMALLEST_TILE // min(height, width)))
    down, right = height * factor + GAP + LABEL_HEIGHT, width * factor + GAP
    sheet = Image.new("RGB", (LABEL_WIDTH + SHOWN * right, len(rows) * down), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, stack) in enumerate(zip(NAMES, rows, strict=True)):
        pen.text((GAP, row * down + LABEL_HEIGHT + height * factor // 2 - 6), name, fill="black")
        for column, frame in enumerate(np.linspace(0, frames(name, profile) - 1, SHOWN).round().astype(int)):
            place = (LABEL_WIDTH + column * right, row * down + LABEL_HEIGHT)
            pen.text((place[0], row * down + 3), f"frame {frame + 1}", fill="black")
            tile = Image.fromarray(stack[frame])
            sheet.paste(tile.resize((width * factor, height * factor), Image.Resampling.NEAREST), place)
    return np.array(sheet)
