"""SHA256SUMS: checksums of files that belong together, as ``sha256sum`` writes and ``sha256sum -c`` checks them.

Against accidents and hand edits: whoever writes new checksums, too, is not found out.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ews.core.errors import EwsError
from ews.core.files import sha256, write_text

SUMS = "SHA256SUMS"
DIGITS = 64
LINES = re.compile(rf"(?:[0-9a-f]{{{DIGITS}}}  [^\n]+\n)+")


def write(folder: Path, paths: Iterable[Path]) -> None:
    """Write the checksums of files into ``folder``, in place of those that are there, atomically."""
    lines = [f"{sha256(path)}  {_name(path, folder)}\n" for path in paths]
    write_text(folder / SUMS, "".join(lines))


def verify(folder: Path, paths: Iterable[Path], *, remedy: str) -> None:
    """Hold all files that are listed in ``folder`` to their checksums.

    Args:
        folder: where the checksums lie.
        paths: files that must be among them.
        remedy: what to do where one is not as it was, a sentence.

    Raises:
        EwsError: there are no checksums, a file is missing or not listed, or it was changed after it was written.
    """
    listed = _read(folder / SUMS, remedy)
    for path in paths:
        if _name(path, folder) not in listed:
            raise EwsError(f"{path}: not among the files that {folder / SUMS} lists. {remedy}")
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            raise EwsError(f"{path}: no such file, though {SUMS} lists it. {remedy}")
        if sha256(path) != expected:
            raise EwsError(
                f"{path}: was changed or damaged after it was written: its SHA-256 is not that in {folder / SUMS}. "
                f"{remedy}"
            )


def _read(path: Path, remedy: str) -> dict[str, str]:
    """Return the checksums by name."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file, so that nothing vouches for those beside it. {remedy}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EwsError(f"{path}: cannot be read ({error}). {remedy}") from None
    if not LINES.fullmatch(text):
        raise EwsError(f"{path}: damaged: not lines of a SHA-256, two spaces and a name. {remedy}")
    return {line[DIGITS + 2 :]: line[:DIGITS] for line in text.removesuffix("\n").split("\n")}


def _name(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
