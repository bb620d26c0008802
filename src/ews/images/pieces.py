"""Writing a large array piece by piece, by any number of workers, so that a killed process resumes where it was."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, JsonValue
from tqdm import tqdm

from ews.core import finished
from ews.core import partial as partial_work
from ews.core.arrays import read_npy
from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.faults import reported
from ews.core.files import sha256
from ews.images.workers import run_all

# What is done is noted this often: a break costs that much work, and each note a wait for the disk.
NOTE_SECONDS = 2.0
STATE = "state.json"
REMEDY = "Without it the file is made anew."

Argument = TypeVar("Argument")


class _State(Document):
    """How far a partial file is.

    Attributes:
        identity: all on which its bytes depend.
        done: SHA-256 of each piece that is on the disk, in order.
    """

    identity: dict[str, JsonValue]
    done: tuple[str, ...]


class _Record(Document):
    """What a whole file is: its checksum, and all on which its bytes depend."""

    model_config = ConfigDict(extra="allow")

    sha256: str


def write(
    out: Path,
    make: Callable[[Argument], NDArray[np.uint8]],
    pieces: Sequence[tuple[int, Argument]],
    *,
    shape: tuple[int, ...],
    about: dict[str, Any],
    code: str,
    step: int,
    workers: int,
    label: str,
    managed: bool = False,
) -> None:
    """Write a ``.npy`` file of uint8, and ``<out>.json`` with what it is, its SHA-256 and the fingerprint of the code.

    Until it is whole the file lies in the hidden folder ``.<out>.partial`` with a note of what is done. Killed and
    started again with the same arguments, the work resumes from there, or from the first piece that is no longer as it
    was written; with others it begins anew. Nothing is made
    where the file is there already, whole and by its record of the same arguments.

    Args:
        out: the file to write.
        make: returns the rows of a piece, uint8 [n, ...]; picklable.
        pieces: the first row of each and what ``make`` takes; in order they cover the array.
        shape: of the array.
        about: what it is made of and how (JSON types): all on which its bytes depend but the code.
        code: fingerprint of the code that makes it.
        step: how large the pieces are, in which a partial file must agree.
        workers: processes, 0 or more; changes no byte.
        label: what is shown while it works.
        managed: keep what is finished a second time, see :mod:`ews.core.finished`.

    Raises:
        EwsError: another process makes the same file, or it cannot be written; what is done is kept.
    """
    about = {**about, "code": code}
    size = int(np.prod(shape))
    with partial_work.partial(out) as folder:
        if _is_whole(out, about):
            print(f"{out}: was made before", file=sys.stderr, flush=True)
            return
        before = finished.find(out, about)
        if before is not None:
            before.place(keep=managed)
            print(f"{out}: was made before; put back: {', '.join(before.missing)}", file=sys.stderr, flush=True)
            return
        identity = {**about, "images_per_piece": step}
        with reported(out, size=size):
            made, done = _begin(folder, identity, shape=shape, firsts=[first for first, _ in pieces])
        if done:
            print(f"{out}: resumes after {len(done)} of {len(pieces)} pieces", file=sys.stderr, flush=True)
        mapped = read_npy(made, mapped=True)
        assert isinstance(mapped, np.memmap)
        task = partial(
            _write_piece, make=make, made=made, offset=mapped.offset, size=size, row=size // shape[0], out=out
        )
        del mapped
        todo = run_all(task, pieces[len(done) :], workers=workers)
        noted = time.monotonic()
        for checksum in tqdm(todo, initial=len(done), total=len(pieces), desc=label, disable=None):
            done.append(checksum)
            if time.monotonic() - noted >= NOTE_SECONDS:
                with reported(out, size=size):
                    _note(folder, made, identity, done)
                noted = time.monotonic()
        with reported(out, size=size):
            _note(folder, made, identity, done)
            record = {**about, "sha256": sha256(made)}
            if managed:
                with finished.finishing(out, about, keep=True) as whole:
                    write_sealed(whole / out.with_suffix(".json").name, record)
                    # Linked, not moved: if this process is killed here, nothing is lost.
                    finished.link(made, whole / out.name)
            else:
                # The record first: with it and the old file, or none, nothing passes for whole.
                write_sealed(out.with_suffix(".json"), record)
                made.replace(out)


def _is_whole(out: Path, about: dict[str, Any]) -> bool:
    """Say whether the file is there, as its record says, and the record is of what is to be made."""
    try:
        record = read_sealed(out.with_suffix(".json"), _Record, remedy=REMEDY)
    except EwsError:
        return False
    return record.model_extra == about and out.is_file() and record.sha256 == sha256(out)


def _begin(
    folder: Path, identity: dict[str, Any], *, shape: tuple[int, ...], firsts: Sequence[int]
) -> tuple[Path, list[str]]:
    """Return the partial file and the checksums of its pieces that are done: none of a new one.

    The file is named by a hash of its identity: no process left over from a killed start can write into another's.
    """
    made = folder / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]}.npy"
    state = _state(folder)
    if state is not None and state.identity == identity and len(state.done) <= len(firsts) and _fits(made, shape):
        whole = _whole(made, state.done, firsts)
        if whole < len(state.done):
            told = f"{made}: damaged: of {len(state.done)} pieces that were done {whole} are kept"
            print(told, file=sys.stderr, flush=True)
        return made, list(state.done[:whole])
    if partial_work.files(folder):
        print(f"{folder}: of other images, settings or code, or damaged: begins anew", file=sys.stderr, flush=True)
        partial_work.discard(folder)
    try:
        np.lib.format.open_memmap(made, mode="w+", dtype=np.uint8, shape=shape)
    except OSError:
        made.unlink(missing_ok=True)
        raise
    return made, []


def _whole(made: Path, checksums: Sequence[str], firsts: Sequence[int]) -> int:
    """Return how many pieces from the first one on are as they were written."""
    # Read, not mapped: mapped pages count as the process's memory until they are let go.
    mapped = read_npy(made, mapped=True)
    assert isinstance(mapped, np.memmap)
    offset, row, ends = mapped.offset, mapped[:1].nbytes, [*firsts[1:], len(mapped)]
    del mapped
    with made.open("rb") as file:
        file.seek(offset)
        for place, (checksum, first, end) in enumerate(zip(checksums, firsts, ends, strict=False)):
            if hashlib.sha256(file.read((end - first) * row)).hexdigest() != checksum:
                return place
    return len(checksums)


def _fits(path: Path, shape: tuple[int, ...]) -> bool:
    """Say whether a file holds an array uint8 of this shape, of its whole length."""
    try:
        there = read_npy(path, mapped=True)
    except EwsError:
        return False
    return bool(there.shape == shape and there.dtype == np.uint8 and there.flags.c_contiguous)


def _state(folder: Path) -> _State | None:
    try:
        return read_sealed(folder / STATE, _State, remedy=REMEDY)
    except EwsError:
        return None


def _note(folder: Path, made: Path, identity: dict[str, Any], done: Sequence[str]) -> None:
    """Write down the checksums of the pieces that are done, once they are on the disk."""
    with made.open("r+b") as file:
        os.fsync(file.fileno())
    write_sealed(folder / STATE, _State(identity=identity, done=tuple(done)))


def _write_piece(
    piece: tuple[int, Argument],
    *,
    make: Callable[[Argument], NDArray[np.uint8]],
    made: Path,
    offset: int,
    row: int,
    size: int,
    out: Path,
) -> str:
    """Make one piece, write it to its place in the file, whose data begin at ``offset``, and return its SHA-256."""
    first, argument = piece
    content = make(argument).tobytes()
    with reported(out, size=size), made.open("r+b") as file:
        file.seek(offset + first * row)
        file.write(content)
    return hashlib.sha256(content).hexdigest()
