"""Corrupted sets on disk: what the record beside each says, and whether the file is still what it was."""

from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import ConfigDict

from ews.core import files
from ews.core.documents import Document, read_document
from ews.core.errors import EwsError

BUILD = "`snakemake --cores all corruptions` makes it."
TEST_IMAGES = "test_images.npy"


class SetRecord(Document):
    """What the record beside a corrupted set says of it; what it does not say is None.

    Attributes:
        sha256: of the set's file.
        corruption: its name.
        images_sha256: of the images that were corrupted.
        seed, profile: of a set that was made here.
        source: of a published set.
    """

    model_config = ConfigDict(extra="ignore")

    sha256: str
    corruption: str | None = None
    images_sha256: str | None = None
    seed: int | None = None
    profile: str | None = None
    source: str | None = None


def records_of(given: Iterable[Path], names: Collection[str]) -> list[Path]:
    """Return the records of some corruptions that are there, sorted.

    Args:
        given: folders of sets, or files in them.
        names: the corruptions.
    """
    folders = {path if path.is_dir() or not path.suffix else path.parent for path in given}
    return sorted(path for folder in folders for name in names if (path := folder / f"{name}.json").is_file())


def read_record(
    folder: Path, name: str, *, images_sha256: str, seed: int | None = None, profile: str | None = None
) -> SetRecord:
    """Read ``<name>.json``, which has to agree with what is asked for as far as it says.

    Args:
        folder: of the sets.
        name: the corruption.
        images_sha256: of the images that must have been corrupted.
        seed, profile: with which; None: any.

    Raises:
        EwsError: missing, damaged, or of other images or settings.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise EwsError(f"{path}: missing, so that {name}.npy cannot be checked. Delete {name}.npy. {BUILD}")
    record = read_document(path, SetRecord, remedy=f"Delete it and {name}.npy. {BUILD}")
    asked = {"corruption": name, "images_sha256": images_sha256, "seed": seed, "profile": profile}
    for key, value in asked.items():
        found = getattr(record, key)
        if None not in (found, value) and found != value:
            raise EwsError(
                f"{path}: {key} is {found!r}; wanted is {value!r}: these are other images than asked for. "
                f"Delete it and {name}.npy. {BUILD}"
            )
    return record


def verify(folder: Path, name: str, record: SetRecord) -> None:
    """Compare the SHA-256 of ``<name>.npy`` with the record's.

    Raises:
        EwsError: they differ.
    """
    path = folder / f"{name}.npy"
    if (got := files.sha256(path)) != record.sha256:
        raise EwsError(
            f"{path}: damaged: its SHA-256 is {got}, {name}.json says {record.sha256}. Delete {path}. {BUILD}"
        )
