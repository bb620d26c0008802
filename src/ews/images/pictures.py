"""Reading the pictures of a folder: of any format, none of them trusted."""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from ews.core.documents import Document
from ews.core.errors import EwsError

# More than 8 bits a channel: Pillow would cut them off at 255.
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


class Pictures(Document):
    """What tells a folder's pictures from others.

    Attributes:
        images: how many there are.
        names_sha256: of their paths, in order.
        images_sha256: of the checksums of their contents, in the order of the paths.
    """

    images: int
    names_sha256: str
    images_sha256: str


def look_at_all(images: Path, found: Sequence[Path], *, smallest: int) -> tuple["Pictures", tuple[int, int]]:
    """Check that all pictures have ``smallest`` pixels or more on both sides.

    Returns:
        what tells these pictures from others, and the first one's (H, W).

    Raises:
        EwsError: a picture is unreadable or too small.
    """
    names, contents = hashlib.sha256(), hashlib.sha256()
    first = None
    for path in tqdm(found, desc="looking", unit="image", disable=None):
        with opened(images / path) as (file, picture):
            width, height = picture.size
            if min(width, height) < smallest:
                raise EwsError(
                    f"{images / path}: {width} x {height} pixels; valid are pictures of {smallest} or more on "
                    "both sides. Take it out of the folder, or enlarge it."
                )
            first = first or (height, width)
            names.update(path.as_posix().encode("utf-8", "surrogateescape") + b"\0")
            contents.update(hashlib.sha256(file).digest())
    assert first is not None
    # The contents in the order of the names.
    return Pictures(images=len(found), names_sha256=names.hexdigest(), images_sha256=contents.hexdigest()), first


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as it is meant to be seen, turned as its EXIF tag says, uint8 [H, W, 3].

    Raises:
        EwsError: it is unreadable.
    """
    with opened(path) as (_, picture):
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


@contextmanager
def opened(path: Path) -> Iterator[tuple[bytes, Image.Image]]:
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
