"""A finished run: its record, read and checked once, and its other files, each held to the record before it is read."""

from functools import cache
from pathlib import Path
from typing import TypeVar

from ews.core import files
from ews.core.documents import read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.staging import sweep
from ews.data.dataset import Dataset
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.tables import Channel, Epoch, Row, Timing, Update, read_rows

R = TypeVar("R", bound=Row)


def retrain(folder: Path) -> str:
    """Return how to have a run trained again, a sentence.

    A workflow makes anew what of its outputs is missing. The record is one; not every other file of a run is.
    """
    return (
        f"To train this run again, delete {folder / run_files.RECORD}, then give the command as before: "
        "`snakemake`, or `ews train` without a workflow."
    )


class FinishedRun:
    """A run whose training has ended.

    Attributes:
        folder: where it lies.
        record: the content of its record.json.
        identity: by which evaluations name the run that they measured, see :attr:`Record.identity`.
    """

    def __init__(self, folder: Path, record: Record) -> None:
        """Take what :meth:`open` read."""
        self.folder = folder
        self.record = record
        self.identity = record.identity
        self.verified = cache(self._verified)
        """As :meth:`_verified`; a file is hashed once."""

    @classmethod
    def open(cls, folder: Path) -> "FinishedRun":
        """Read and check the record of a finished run.

        Raises:
            EwsError: there is none, it was changed after it was written, or it is not of this version.
        """
        path = folder / run_files.RECORD
        if not path.is_file():
            raise EwsError(
                f"{folder}: no finished run here ({run_files.RECORD} is missing). Train it first, or give its folder."
            )
        return cls(folder, read_sealed(path, Record, remedy=retrain(folder)))

    def has(self, name: str) -> bool:
        """Say whether the record names a file."""
        return name in self.record.files

    def _verified(self, name: str) -> Path:
        """Return the path of a file that is the one that the record names.

        Raises:
            EwsError: the record does not name it, it is missing, or it was changed.
        """
        path = self.folder / name
        if not self.has(name):
            raise EwsError(f"{self.folder / run_files.RECORD}: names no {name}. {retrain(self.folder)}")
        if not path.is_file():
            raise EwsError(f"{path}: missing, though {run_files.RECORD} names it. {retrain(self.folder)}")
        if (found := files.sha256(path)) != self.record.files[name]:
            raise EwsError(
                f"{path}: damaged, or of another run: its SHA-256 is {found}, {run_files.RECORD} says "
                f"{self.record.files[name]}. {retrain(self.folder)}"
            )
        return path

    def epochs(self) -> tuple[Epoch, ...]:
        """Return epochs.csv, at least one row.

        Raises:
            EwsError: damaged, or without an epoch.
        """
        found = read_rows(self.verified(run_files.EPOCHS), Epoch, remedy=retrain(self.folder))
        if not found:
            raise EwsError(f"{self.folder / run_files.EPOCHS}: holds no epoch. {retrain(self.folder)}")
        return found

    def timing(self) -> tuple[Timing, ...]:
        """Return timing.csv.

        Raises:
            EwsError: damaged.
        """
        return read_rows(self.verified(run_files.TIMING), Timing, remedy=retrain(self.folder))

    def controller(self) -> tuple[Update, ...]:
        """Return controller.csv; no row where the method searches no subnets.

        Raises:
            EwsError: damaged.
        """
        return self._log(run_files.CONTROLLER, Update)

    def kept(self) -> tuple[Channel, ...]:
        """Return kept.csv; no row where the method searches no subnets.

        Raises:
            EwsError: damaged.
        """
        return self._log(run_files.KEPT, Channel)

    def _log(self, name: str, kind: type[R]) -> tuple[R, ...]:
        return read_rows(self.verified(name), kind, remedy=retrain(self.folder)) if self.has(name) else ()

    def check_data(self, dataset: Dataset) -> None:
        """Refuse data other than that which the run was trained on: other test images, or training images among them.

        Raises:
            EwsError: the checksums differ.
        """
        if self.record.data != dataset.checksum:
            raise EwsError(
                f"{self.folder}: was trained on data of checksum {self.record.data[:16]}... (dataset "
                f"{self.record.cell.dataset!r}), but {dataset.folder} has {dataset.checksum[:16]}.... "
                "Give --data the folder it was trained on, or train it again."
            )


def without_weights(folder: Path) -> bool:
    """Say whether a run is finished and its weights are not here: only records were brought, or they were deleted."""
    return (folder / run_files.RECORD).is_file() and not (folder / run_files.LAST).is_file()


def not_brought(folder: Path) -> str:
    """Return what is to be done where the weights of such a run are needed, two sentences."""
    return (
        f"the run's weights were not brought along with {run_files.RECORD}, or were deleted. To train it again, delete "
        f"{folder / run_files.RECORD}, then give the command as before: `snakemake`, or `ews train` without a workflow."
    )


def write_record(folder: Path, record: Record) -> None:
    """Write a run's record, sealed, atomically: the last file of a training run."""
    write_sealed(folder / run_files.RECORD, record)


def clear(folder: Path) -> None:
    """Remove an earlier training's files, and what a killed one left of files half-written."""
    sweep(folder)
    for name in run_files.TRAINED:
        (folder / name).unlink(missing_ok=True)
