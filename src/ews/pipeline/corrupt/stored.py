"""Corrupted sets on disk: what the record beside each says, and whether the file is still what it was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ews.core import files
from ews.core.errors import EwsError

BUILD = "Build it with the target `corruptions`."
TEST_IMAGES = "test_images.npy"


def read_record(folder: Path, name: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``<name>.json``: what a set is, with ``sha256``; other keys of ``expected`` count where it has them.

    Raises:
        EwsError: missing, damaged, or of other images or settings.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise EwsError(f"{path}: missing, so that {name}.npy cannot be checked. Delete {name}.npy. {BUILD}")
    record = files.read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("sha256"), str):
        raise EwsError(f"{path}: has no sha256, so that {name}.npy cannot be checked. Delete both. {BUILD}")
    for key, value in expected.items():
        if key in record and record[key] != value:
            raise EwsError(
                f"{path}: {key} is {record[key]!r}; wanted is {value!r}: these are other images than asked for. "
                f"Delete it and {name}.npy. {BUILD}"
            )
    return record


def verify(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Compare the SHA-256 of ``<name>.npy`` with the record's.

    Raises:
        EwsError: they differ.
    """
    path = folder / f"{name}.npy"
    if (got := files.sha256(path)) != record["sha256"]:
        raise EwsError(
            f"{path}: damaged: its SHA-256 is {got}, {name}.json says {record['sha256']}. Delete it. {BUILD}"
        )
