"""Reading and writing ``.npy`` files, reading ``.npz`` files, and what every command that writes one checks first."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from ews.core.command_line import check_places
from ews.core.documents import Document, read_sealed
from ews.core.errors import EwsError
from ews.core.files import atomic, sha256

SUFFIX = ".npy"


def read_npy(path: Path | str, *, mapped: bool) -> NDArray[Any]:
    """Read the array of a ``.npy`` file; one that holds a pickle is refused.

    Args:
        path: the file.
        mapped: map it into memory, read-only; else it is read as a whole.

    Returns:
        the array, of whatever type and shape; these are for the caller to check.

    Raises:
        EwsError: missing, unreadable, or damaged: not of the format, shorter or longer than its header says, objects.
    """
    path = Path(path)
    try:
        # A mapping reads the header alone: what that promises is held to the file's length before room is made for it.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.") from None
    except Exception as problem:
        if isinstance(problem, OSError) and problem.strerror is not None:
            raise EwsError(f"{path}: cannot be read: {problem.strerror}.") from None
        # The header is a Python literal: one flipped bit in it raises whatever the parsers at work happen to raise.
        raise _damaged(path, _reason(path, problem)) from None
    if not isinstance(array, np.memmap):
        array.close()
        raise _damaged(path, "an archive of arrays (.npz) under the name of one array")
    length, promised = path.stat().st_size, array.offset + array.nbytes
    if length != promised:
        raise _damaged(path, f"{length} bytes long, and its header says {promised}")
    return array if mapped else np.array(array)


def read_npz(path: Path | str) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file by name; one that holds a pickle is refused.

    Raises:
        EwsError: missing, damaged, not of the format, or with objects in it.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file.") from None
    except Exception as problem:  # what a flipped bit in an archive raises depends on where it is
        raise EwsError(f"{path}: damaged, or not an .npz file of plain arrays ({problem}).") from None


def _damaged(path: Path, problem: str) -> EwsError:
    return EwsError(f"{path}: damaged, or not an .npy file: {problem}.")


def _reason(path: Path, problem: Exception) -> str:
    """Say what is wrong in one line; what NumPy says of a first byte that it does not know is about pickles."""
    with path.open("rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if not start:
        return "empty"
    if start != np.lib.format.MAGIC_PREFIX and not isinstance(problem, zipfile.BadZipFile):
        return "it does not begin as one"
    return " ".join(f"{type(problem).__name__}: {problem}".split()).rstrip(".")


def write_npy(path: Path | str, array: NDArray[Any]) -> str:
    """Write an array as a ``.npy`` file, whole or not at all, with the bytes that ``np.save`` writes.

    Returns:
        the file's SHA-256, 64 hex digits.

    Raises:
        EwsError: it cannot be written.
    """
    with atomic(path, size=array.nbytes) as temporary:
        with temporary.open("wb") as file:
            # Into a file of its own NumPy writes through the C library, and does not hear of what fails at its end.
            np.save(SimpleNamespace(write=file.write), array, allow_pickle=False)
        return sha256(temporary)


def read_labels(path: Path | str, *, count: int) -> NDArray[np.int64]:
    """Read the labels of ``count`` images, int64 [count].

    Raises:
        EwsError: as :func:`read_npy`; no integers, not that many, or one does not fit into int64.
    """
    values = read_npy(path, mapped=False)
    if values.dtype.kind not in "iu" or values.shape != (count,):
        raise EwsError(f"{path}: {values.dtype} {values.shape}; valid are {count} integers, one for each image.")
    largest = int(values.max(initial=0))
    if largest > np.iinfo(np.int64).max:
        raise EwsError(f"{path}: has the label {largest}; valid are integers below 2^63.")
    return values.astype(np.int64)


def check_output(out: Path | str, *, inputs: Iterable[Path | str] = (), option: str = "--out") -> None:
    """Refuse an output, with its record ``<name>.json``, that cannot be right, before any work is done.

    Args:
        out: the ``.npy`` file to be written.
        inputs: the files that are read for it.
        option: what the command line calls it.

    Raises:
        EwsError: its name does not end in ``.npy``, it is a folder, or it or its record is one of the inputs.
    """
    out = Path(out)
    if out.suffix != SUFFIX:
        raise EwsError(f"{option} {out}: must end in {SUFFIX}.")
    if out.is_dir():
        raise EwsError(f"{option} {out}: is a folder; name a file that ends in {SUFFIX}.")
    read = [Path(path) for path in inputs]
    for written in (out, out.with_suffix(".json")):
        check_places(written, inputs={"": read}, option=option)


class _Files(Document):
    """Of a dataset's description, which files it describes."""

    model_config = ConfigDict(extra="ignore")

    files: dict[str, str]


def of_dataset(folder: Path | str) -> list[Path]:
    """Return the files of a prepared dataset, as inputs for :func:`check_output`: its arrays and what describes them.

    Raises:
        EwsError: its ``dataset.json`` is missing or damaged.
    """
    about = Path(folder) / "dataset.json"
    described = read_sealed(about, _Files, remedy="Prepare the dataset again.")
    return [about, *(about.with_name(name) for name in described.files)]
