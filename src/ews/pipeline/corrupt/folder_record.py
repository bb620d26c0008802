"""What a folder of corrupted pictures was made from, and how: ``corruptions.json`` and ``pictures.csv`` in it."""

import csv
import hashlib
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.files import sha256, write_text

RECORD = "corruptions.json"
PICTURES = "pictures.csv"
# What a record holds, but for the code, and how a difference is put into words.
SETTINGS = {
    "seed": "another seed",
    "profile": "another profile",
    "encoding": "another format",
    "resize": "another resize",
    "crop": "another crop",
}
_NAMED = 3


class FolderRecord(Document):
    """How a folder of corrupted pictures was made.

    Attributes:
        encoding, profile, seed: see :func:`ews.pipeline.corrupt.folder.corrupt_folder`.
        resize, crop: see :class:`ews.images.framing.Framing`.
        code: by corruption, the fingerprint of the code behind it.
        pictures: SHA-256 of the list of pictures; of a list that is being replaced and of the new one, both.
    """

    encoding: str
    profile: str
    seed: int
    resize: int | None
    crop: int | None
    code: dict[str, str]
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureRow:
    """A picture that a folder was made from, or one that was passed over since it is bad.

    Attributes:
        path: relative, with ``/`` between the parts.
        number: its index, which names its random streams.
        sha256: of its file; empty where it cannot be read.
        height: of what is corrupted, in pixels; 0 of a bad one.
        width: likewise.
        fault: why it is bad; empty of a good one.
    """

    path: str
    number: int
    sha256: str
    height: int
    width: int
    fault: str

    def is_as(self, other: "PictureRow | None") -> bool:
        """Say whether what was made of the other was made of this."""
        return other is not None and not self.fault and not other.fault and self.sha256 == other.sha256


def read_record(out: Path) -> FolderRecord | None:
    """Return the record of a folder; None: nothing was made there yet.

    Raises:
        EwsError: it is damaged, or of another version.
    """
    path = out / RECORD
    return read_sealed(path, FolderRecord, remedy=_remedy(out)) if path.exists() else None


def read_rows(out: Path, record: FolderRecord) -> tuple[PictureRow, ...]:
    """Return the pictures that a folder was made from.

    Raises:
        EwsError: the list is missing, damaged, or not the one that the record vouches for.
    """
    path = out / PICTURES
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() not in record.pictures:
            raise EwsError(
                f"{path}: was changed or damaged after it was written: its SHA-256 is not that in {RECORD}. "
                f"{_remedy(out)}"
            )
        header, *lines = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        if header != _COLUMNS:
            raise ValueError("its first line is another")
        rows = tuple(
            PictureRow(name, int(number), sha256, int(height), int(width), fault)
            for name, number, sha256, height, width, fault in lines
        )
        if len({row.path for row in rows}) < len(rows) or len({row.number for row in rows}) < len(rows):
            raise ValueError("a path or a number stands there twice")
    except OSError as error:
        raise EwsError(f"{path}: cannot be read: {error.strerror or error}. {_remedy(out)}") from None
    except (ValueError, csv.Error) as error:
        raise EwsError(f"{path}: damaged ({error}). {_remedy(out)}") from None
    return rows


def write(out: Path, record: FolderRecord, rows: Iterable[PictureRow]) -> None:
    """Write the record and the list of pictures, in order; killed at any moment, the two agree.

    The ``pictures`` of the given record do not count.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(astuple, rows))
    new = hashlib.sha256(text.getvalue().encode()).hexdigest()
    if (out / RECORD).exists():
        both = tuple(dict.fromkeys((sha256(out / PICTURES), new)))
        write_sealed(out / RECORD, record.model_copy(update={"pictures": both}))
    write_text(out / PICTURES, text.getvalue())
    write_sealed(out / RECORD, record.model_copy(update={"pictures": (new,)}))


def joined(there: FolderRecord | None, asked: FolderRecord, *, out: Path) -> FolderRecord:
    """Return the record of a folder with what is asked for: the corruptions that are there and the new ones.

    Raises:
        EwsError: what is there was made otherwise.
    """
    if there is None:
        return asked
    changed = []
    for key, words in SETTINGS.items():
        before, now = getattr(there, key), getattr(asked, key)
        if before != now:
            changed.append(f"{words} ({before or 'none'} there, {now or 'none'} now)")
    changed += [f"other code for {name}" for name, code in asked.code.items() if there.code.get(name, code) != code]
    if changed:
        raise EwsError(
            f"{out / RECORD}: what is there was made otherwise: {'; '.join(changed)}. Use another folder for --out, "
            f"or delete {out} to make all of it anew."
        )
    return asked.model_copy(update={"code": {**there.code, **asked.code}})


def numbers_of(paths: Sequence[str], there: Iterable[PictureRow]) -> dict[str, int]:
    """Return each picture's number: as it was, or where nothing was made yet its place; new ones come at the end.

    Args:
        paths: of all pictures, bad ones too, in order.
        there: the pictures that the folder was made from.
    """
    known = {row.path: row.number for row in there}
    new = itertools.count(max(known.values(), default=-1) + 1)
    return {path: known[path] if path in known else next(new) for path in paths}


def outdated(there: Iterable[PictureRow], now: Mapping[str, PictureRow]) -> tuple[PictureRow, ...]:
    """Return the good pictures whose corrupted copies no longer belong to what lies under their paths."""
    return tuple(row for row in there if not row.fault and not row.is_as(now.get(row.path)))


def check_same(there: Sequence[PictureRow], now: Mapping[str, PictureRow], *, out: Path) -> None:
    """Refuse other pictures than the folder was made from; what was bad may have been mended or removed.

    Raises:
        EwsError: saying which were changed, added or removed.
    """
    before = {row.path for row in there}
    old = outdated(there, now)
    changes = {
        "changed": [row.path for row in old if row.path in now],
        "removed": [row.path for row in old if row.path not in now],
        "added": [path for path, row in now.items() if path not in before and not row.fault],
    }
    words = [
        f"{len(paths):,} {what} ({', '.join(paths[:_NAMED])}{', ...' * (len(paths) > _NAMED)})"
        for what, paths in changes.items()
        if paths
    ]
    if words:
        raise EwsError(
            f"{out / PICTURES}: what is there was made from other pictures: {'; '.join(words)}. Give --update to make "
            "what these touch anew and keep the rest, or use another folder for --out."
        )


def _remedy(out: Path) -> str:
    return f"Use another folder for --out, or delete {out}."


_COLUMNS = [field.name for field in fields(PictureRow)]
