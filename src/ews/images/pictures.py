"""The one reader of pictures: what is one by its name, how it is turned, what is refused; none of them is trusted."""

import contextlib
import io
import warnings
from functools import cache
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ews.core.errors import EwsError
from ews.images.depth import depth_fault

# Decoders of plain pixels only, with their usual endings: Pillow would hand other formats, EPS for one, to outside
# programs.
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "AVIF": (".avif",),
}
SUFFIXES = tuple(ending for endings in ENDINGS.values() for ending in endings)
# More is a mistake or an attack: a small file may claim any number of pixels.
MOST_PIXELS = 89_478_485
LARGEST_FILE = 2**30  # bytes


class BadPicture(EwsError):
    """What is wrong with a picture, without its name, which its reader's caller knows."""


def is_picture(path: str | PurePath) -> bool:
    """Say whether a file is a picture by its ending, in upper or lower case."""
    return PurePath(path).suffix.lower() in SUFFIXES


def read_content(path: Path) -> bytes:
    """Return a picture's file.

    Raises:
        BadPicture: it cannot be read, or is larger than :data:`LARGEST_FILE`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadPicture(f"cannot be read: {error.strerror or error}") from None
    if len(content) > LARGEST_FILE:
        raise BadPicture(f"has more than {LARGEST_FILE:,} bytes, the most that is read")
    return content


def decode(content: bytes) -> NDArray[np.uint8]:
    """Return a picture as it is meant to be seen, turned as its EXIF tag says, uint8 [H, W, 3], RGB.

    Grey becomes three equal channels, transparency is dropped, of several pages or frames the first counts.

    Args:
        content: the file, of any format of :data:`ENDINGS`, whatever its name.

    Raises:
        BadPicture: it cannot be decoded as a whole, has more than :data:`MOST_PIXELS` pixels, or more than 8 bits a
            channel in its file; the message does not name it.
    """
    try:
        # What Pillow warns of - damaged metadata, palettes - does not keep it from decoding.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_formats()) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise BadPicture(_TOO_MANY)
                if fault := depth_fault(picture, content):
                    raise BadPicture(fault)
                picture.load()
                upright: Image.Image = picture
                # Where the tag cannot be read the pixels still can: shown as they are stored, as browsers do.
                with contextlib.suppress(Exception):
                    upright = ImageOps.exif_transpose(picture)
                return np.array(upright.convert("RGB"))
    except BadPicture:
        raise
    except Image.DecompressionBombError:
        raise BadPicture(_TOO_MANY) from None
    except UnidentifiedImageError:
        raise BadPicture(f"not a readable picture (of no known format; valid: {', '.join(ENDINGS)})") from None
    except Exception as error:
        # Decoders of damaged files raise whatever they come upon: OSError, SyntaxError, struct.error, MemoryError.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadPicture(f"not a readable picture ({reason})") from None


_TOO_MANY = f"has more than {MOST_PIXELS:,} pixels, or claims to"


@cache
def _formats() -> tuple[str, ...]:
    """Return those of the formats that this build of Pillow reads."""
    Image.init()
    return tuple(kind for kind in ENDINGS if kind in Image.OPEN)
