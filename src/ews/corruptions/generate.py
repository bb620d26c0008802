"""Writing corrupted sets to disk in the published CIFAR-10-C layout, in bounded memory, with any number of workers.

``<name>.npy`` is uint8 [5 * N, H, W, 3]: the whole set at severity 1, then at 2, to 5; ``labels.npy``
is int64 [5 * N], the labels five times over. Each part of the file is a function of the images, the
seed and the settings alone, so that neither the workers' number nor a break changes a byte.
"""

import hashlib
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ews import partial as half_done
from ews import planned
from ews.corruptions import NAMES, SEVERITIES, corrupt
from ews.corruptions.driver import check_name
from ews.corruptions.images import PIECE, open_images
from ews.corruptions.workers import check_workers, run_all
from ews.errors import EwsError
from ews.files import atomic, read_json, sha256, write_json
from ews.fingerprint import fingerprint

# What is done is noted this often: a break costs that much work, and each note a wait for the disk.
NOTE_SECONDS = 2.0
STATE = "state.json"


def generate(
    *, data: Path, name: str, seed: int, profile: str, out: Path, workers: int, fingerprint: str | None = None
) -> None:
    """Corrupt a dataset's test images and write them, with ``<name>.json`` beside them that says how.

    Args:
        data: the dataset's folder.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        out: the file to write, ``.npy``.
        workers: processes, 1 or more.
        fingerprint: of the code that this was planned with; None where nobody planned it.

    Raises:
        EwsError: the dataset is damaged, an argument is not valid, the code is not the planned, another process
            makes the same file, or it cannot be written.
    """
    from ews.data.dataset import load  # the workers do without

    check_name(name, NAMES)
    planned.check(fingerprint, code_of(name), where=str(out))
    dataset = load(data)
    corrupt_file(
        Path(data) / "test_images.npy",
        out,
        name=name,
        seed=seed,
        profile=profile,
        workers=workers,
        source=dataset.name,
    )


def code_of(name: str) -> str:
    """Return the fingerprint of the code that makes a corruption's set."""
    return fingerprint("ews.corruptions", [("ews.corruptions", name)])


def labels(*, data: Path, out: Path) -> None:
    """Write the labels that belong to the dataset's corrupted sets, int64 [5 * N].

    Raises:
        EwsError: the dataset is damaged.
    """
    from ews.data.dataset import load  # the workers do without

    tiled = np.tile(load(data).test_labels, len(SEVERITIES)).astype(np.int64)
    with atomic(out) as temporary:
        np.save(temporary, tiled)


def corrupt_file(images: Path, out: Path, *, name: str, seed: int, profile: str, workers: int, source: str) -> None:
    """Corrupt the images of one ``.npy`` file, uint8 [N, H, W, 3], at all severities into another.

    Until it is whole the file lies in the hidden folder ``.<out>.partial`` with a note of what is done. Killed and
    started again with the same images, settings and code, the work goes on from there; with others it begins anew.
    ``<out>.json`` gets the SHA-256 of the file, by which whoever reads it can tell that it is whole.

    Args:
        images: the file to read.
        out: the file to write.
        name: the corruption.
        seed: names the random streams.
        profile: whose constants.
        workers: processes, 1 or more.
        source: what the record beside the file calls the images.

    Raises:
        EwsError: a file cannot be read or written, an argument is not valid, or another process makes the same file.
    """
    check_name(name, NAMES)
    check_workers(workers)
    clean = open_images(images)
    # One image tells whether all arguments fit, before hours are spent.
    corrupt(np.array(clean[:1]), name=name, severity=1, seed=seed, profile=profile)
    count, shape = len(clean), clean.shape[1:]
    del clean
    out = Path(out)
    step = max(1, PIECE // int(np.prod(shape)))
    pieces = [(severity, start) for severity in SEVERITIES for start in range(0, count, step)]
    with half_done.partial(out) as folder:
        about = {
            "corruption": name,
            "images": count,
            "images_sha256": sha256(images),
            "profile": profile,
            "seed": seed,
            "severities": list(SEVERITIES),
            "source": source,
        }
        identity = {**about, "code": code_of(name), "images_per_piece": step}
        if _is_finished(folder, out, identity, len(pieces)):
            return
        made, done = _begin(folder, identity, shape=(len(SEVERITIES) * count, *shape), pieces=len(pieces))
        if done:
            print(f"{out}: goes on after {done} of {len(pieces)} pieces", file=sys.stderr, flush=True)
        task = partial(
            _write_piece,
            images=Path(images),
            out=made,
            offset=np.load(made, mmap_mode="r", allow_pickle=False).offset,
            step=step,
            settings={"name": name, "seed": seed, "profile": profile},
        )
        bar = tqdm(
            run_all(task, pieces[done:], workers=workers), initial=done, total=len(pieces), desc=name, disable=None
        )
        noted = time.monotonic()
        for more, _ in enumerate(bar, start=1):
            if time.monotonic() - noted >= NOTE_SECONDS:
                _note(folder, made, identity, done + more)
                noted = time.monotonic()
        _note(folder, made, identity, len(pieces))
        # The record first: with it and the old file, or none, nothing passes for whole.
        write_json(out.with_suffix(".json"), {**about, "sha256": sha256(made)})
        made.replace(out)


def _begin(folder: Path, identity: dict[str, Any], *, shape: tuple[int, ...], pieces: int) -> tuple[Path, int]:
    """Return the half-done file and how many of its pieces are done: 0 of a new one where there is none to go on with.

    The file is named by a hash of its identity: no process left over from a killed start can write into another's.
    """
    made = folder / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]}.npy"
    state = _state(folder)
    done = state.get("done")
    if state.get("identity") == identity and isinstance(done, int) and 0 <= done <= pieces and _fits(made, shape):
        return made, done
    if half_done.files(folder):
        print(f"{folder}: of other images, settings or code, or damaged: begins anew", file=sys.stderr, flush=True)
        half_done.discard(folder)
    np.lib.format.open_memmap(made, mode="w+", dtype=np.uint8, shape=shape)
    return made, 0


def _fits(path: Path, shape: tuple[int, ...]) -> bool:
    """Say whether a file holds an array uint8 of this shape, of its whole length."""
    try:
        there = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return isinstance(there, np.ndarray) and (there.shape, there.dtype) == (shape, np.uint8)


def _is_finished(folder: Path, out: Path, identity: dict[str, Any], pieces: int) -> bool:
    """Say whether an earlier start was killed between giving the file its name and removing the folder."""
    if _state(folder) != {"identity": identity, "done": pieces} or not out.is_file():
        return False
    record = out.with_suffix(".json")
    return record.is_file() and bool(read_json(record).get("sha256") == sha256(out))


def _state(folder: Path) -> dict[str, Any]:
    try:
        state = read_json(folder / STATE)
    except EwsError:
        return {}
    return state if isinstance(state, dict) else {}


def _note(folder: Path, made: Path, identity: dict[str, Any], done: int) -> None:
    """Write down that the first ``done`` pieces are done, once they are on the disk."""
    with made.open("r+b") as file:
        os.fsync(file.fileno())
    write_json(folder / STATE, {"identity": identity, "done": done})


def _write_piece(
    piece: tuple[int, int], *, images: Path, out: Path, offset: int, step: int, settings: dict[str, Any]
) -> None:
    """Corrupt one piece, (severity, first image), and write it to its place in the file."""
    severity, start = piece
    # Opened anew for each piece: mapped pages count as the process's memory until they are let go.
    mapped = open_images(images)
    count = len(mapped)
    clean = np.array(mapped[start : start + step])
    del mapped
    corrupted = corrupt(clean, severity=severity, indices=np.arange(start, start + len(clean)), **settings)
    with out.open("r+b") as file:
        file.seek(offset + ((severity - 1) * count + start) * corrupted[0].nbytes)
        file.write(corrupted.tobytes())
