"""How many bits a channel of a picture's file has: Pillow cuts some to 8 without a word, and its mode does not tell."""

import re
from collections.abc import Iterator

from PIL import Image

# Of TIFF: bits of each sample, and what they mean (1: whole numbers from 0).
BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339
UNSIGNED = 1
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
# Of PGM and PPM: width, height and the largest value; comments may stand between them.
_PPM = re.compile(rb"P[2356]" + _GAP + rb"\d+" + _GAP + rb"\d+" + _GAP + rb"(\d+)")
_PLAIN = (b"P1", b"P4")
# Boxes of JPEG 2000 and AVIF that hold boxes, and how far into them these begin.
_HOLDERS = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"iprp", b"ipco", b"jp2h"), 0),
    b"meta": 4,
    b"stsd": 8,
    b"av01": 78,
}
_CODESTREAM = b"\xff\x4f\xff\x51"


def depth_fault(picture: Image.Image, content: bytes) -> str | None:
    """Say why a picture cannot be taken as 8 bits a channel, or return None where it can.

    Args:
        picture: opened, not decoded.
        content: its whole file.
    """
    kind = picture.format
    if kind == "TIFF":
        return _tiff_fault(picture)
    bits = None
    if kind == "PNG":
        bits = content[24] if content[12:16] == b"IHDR" else None
    elif kind == "PPM":
        bits = _ppm_bits(content)
    elif kind == "JPEG2000":
        bits = max(_jpeg2000_bits(content), default=None)
    elif kind == "AVIF":
        bits = max(_avif_bits(content), default=None)
    else:
        bits = 8  # BMP, GIF and WebP have no more; Pillow refuses JPEG of 12 bits
    if bits is None:
        return "its header does not say how many bits a channel has"
    return None if bits <= 8 else _deep(bits)


def _deep(bits: int) -> str:
    return f"has more than 8 bits a channel ({bits}); convert it to 8 bits first"


def _tiff_fault(picture: Image.Image) -> str | None:
    tags = getattr(picture, "tag_v2", {})
    formats = tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    bits = tags.get(BITS_PER_SAMPLE, (1,))
    deepest = max(bits if isinstance(bits, tuple) else (bits,), default=1)
    if deepest > 8:
        return _deep(deepest)
    if any(one != UNSIGNED for one in (formats if isinstance(formats, tuple) else (formats,))):
        return "its values are not whole numbers from 0; convert it to 8 bits first"
    return None


def _ppm_bits(content: bytes) -> int | None:
    if content[:2] in _PLAIN:
        return 1
    if content[:2] in (b"Pf", b"PF"):
        return 32
    found = _PPM.match(content)
    return int(found[1]).bit_length() if found else None


def _jpeg2000_bits(content: bytes) -> Iterator[int]:
    """Yield the bits of each component, and of a palette's columns."""
    if content.startswith(_CODESTREAM):
        yield from _codestream_bits(content)
        return
    for kind, start, end in _boxes(content, 0, len(content)):
        if kind == b"jp2c":
            yield from _codestream_bits(content[start : min(end, start + 2**16)])
        elif kind == b"pclr":
            columns = content[start + 2]
            yield from ((bits & 0x7F) + 1 for bits in content[start + 3 : start + 3 + columns])


def _codestream_bits(stream: bytes) -> Iterator[int]:
    count = int.from_bytes(stream[40:42], "big")
    yield from ((bits & 0x7F) + 1 for bits in stream[42 : 42 + 3 * count : 3])


def _avif_bits(content: bytes) -> Iterator[int]:
    """Yield the bits of each coded image: the picture, its transparency, its parts."""
    for kind, start, _ in _boxes(content, 0, len(content)):
        if kind == b"av1C":
            flags = content[start + 2]
            yield 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
        elif kind == b"pixi":
            channels = content[start + 4]
            yield from content[start + 5 : start + 5 + channels]


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of what each box holds, also of those within others; what is damaged ends it."""
    pending = [(start, end)]
    while pending:
        here, end = pending.pop()
        if here + 8 > end:
            continue
        size, kind, head = int.from_bytes(content[here : here + 4], "big"), content[here + 4 : here + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[here + 8 : here + 16], "big"), 16
        last = end if size == 0 else min(end, here + size)
        if last < here + head:
            continue
        pending.append((last, end))
        yield kind, here + head, last
        if kind in _HOLDERS:
            pending.append((here + head + _HOLDERS[kind], last))
