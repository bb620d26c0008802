"""Train a cell to its end: epochs, checkpoints, selection by validation error, and the run's files."""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ews.core import files, finished, machine
from ews.core.errors import EwsError
from ews.data.dataset import Dataset
from ews.methods.component import Batch
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import clear
from ews.pipeline.artifacts.weights import checksum
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import checkpoint, outputs
from ews.pipeline.train.teacher_networks import TeacherNetwork, load
from ews.pipeline.train.training import Stopwatch, Training


def fit(
    *,
    cell: Cell,
    dataset: Dataset,
    out: Path,
    code: str,
    device: torch.device,
    threads: int,
    workers: int,
    teachers: Mapping[str, Path] | None = None,
    managed: bool = False,
) -> None:
    """Train a cell and write its run folder; resume from ``state.pt`` if one fits.

    Killed at any moment and started again, it ends with the same bytes on a CPU (same number of
    threads) as an undisturbed run, timing.csv and record.json's costs apart. A run that is finished,
    of the same cell, code and data, is not trained again: files of it that are missing are put back.

    Args:
        cell: the training run's resolved parameters.
        dataset: the data; its test part is not touched.
        out: the run folder.
        code: fingerprint of the code.
        device: where to train.
        threads: CPU threads, for the record.
        workers: processes that augment; no effect on values.
        teachers: folders of the runs that the cell's method learns from, by their role.
        managed: keep the finished run a second time until an evaluation begins, see :mod:`ews.core.finished`.

    Raises:
        EwsError: another process holds the folder, bad parameters, or the training run diverged.
    """
    with files.exclusive(out):
        try:
            taught = load(cell, teachers or {}, dataset, device)
            how: dict[str, Any] = {"device": device, "threads": threads, "workers": workers, "managed": managed}
            _fit(cell, dataset, out, taught, code=code, **how)
        except EwsError as error:
            raise EwsError(f"{out}: {error}") from error


@dataclass(frozen=True)
class FirstEpoch:
    """What a training run's first epoch comes to: the checksum of the weights after it, and its mean loss in nats."""

    weights: str
    loss: float


def first_epoch(
    *, cell: Cell, dataset: Dataset, device: torch.device, teachers: Mapping[str, Path] | None = None
) -> FirstEpoch:
    """Train a cell for one epoch in memory, as :func:`fit` begins; nothing is written.

    Args:
        cell: the training run's resolved parameters.
        dataset: the data; its test part is not touched.
        device: where to train; on a CPU with as many threads as the run to compare with, for the same bits.
        teachers: folders of the runs that the cell's method learns from, by their role.

    Raises:
        EwsError: bad parameters, or the training run diverged.
    """
    taught = load(cell, teachers or {}, dataset, device)
    networks = {role: teacher.network for role, teacher in taught.items()}
    training = Training(cell, dataset, device=device, workers=0, teachers=networks)
    row = training.epoch(0)
    return FirstEpoch(weights=checksum(training.network.state_dict()), loss=float(row["train_loss"]))


def _fit(
    cell: Cell,
    dataset: Dataset,
    out: Path,
    teachers: Mapping[str, TeacherNetwork],
    *,
    code: str,
    device: torch.device,
    threads: int,
    workers: int,
    managed: bool,
) -> None:
    watch = Stopwatch()
    networks = {role: teacher.network for role, teacher in teachers.items()}
    training = Training(cell, dataset, device=device, workers=workers, teachers=networks)
    identity = {"parameters": parameters_hash(cell), "code": code, "data": dataset.checksum}
    if training.extra is not None:
        identity["extra images"] = training.extra.source.checksum
    identity |= {f"teacher {role}": teacher.checksum for role, teacher in teachers.items()}
    record, state_file = out / run_files.RECORD, out / run_files.STATE
    before = finished.find(record, identity)
    if before is not None:
        before.place(keep=managed)
        state_file.unlink(missing_ok=True)
        put_back = f"; put back: {', '.join(before.missing)}" if before.missing else ""
        _say(f"{out}: was trained before{put_back}. To train it anew, delete the folder.")
        return
    clear(out)
    logs = _new_logs()
    state, message = checkpoint.resume(state_file, identity)
    if message:
        _say(f"warning: {message}")
    if state is not None:
        training.load_state_dict(state["training"])
        logs = state["logs"]
        logs["starts"] += 1
    _say(f"start {logs['starts']}: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {platform.node()}, process {os.getpid()}")
    if state is not None:
        _say(f"resuming after epoch {len(logs['epochs'])} of {cell.recipe.epochs}")
    for epoch in range(len(logs["epochs"]), cell.recipe.epochs):
        _epoch(training, epoch, cell.recipe.epochs, logs, threads)
        logs["wall_clock"] += watch.lap()
        for kind, size in machine.peak_memory(device).items():
            logs["peak_memory"][kind] = max(size, logs["peak_memory"].get(kind, 0))
        checkpoint.save(state_file, {"identity": identity, "training": training.state_dict(), "logs": logs})
    with finished.finishing(record, identity, keep=managed) as folder:
        outputs.write(
            folder,
            cell=cell,
            training=training,
            logs=logs,
            code=code,
            hardware=machine.hardware(device, threads=threads),
            teachers={role: teacher.checksum for role, teacher in teachers.items()},
        )
    state_file.unlink(missing_ok=True)


def _new_logs() -> dict[str, Any]:
    """Return the logs of a training run that has not begun; ``best`` holds weights on the CPU."""
    return {"epochs": [], "timing": [], "best": None, "starts": 1, "wall_clock": 0.0, "peak_memory": {}}


def _epoch(training: Training, epoch: int, epochs: int, logs: dict[str, Any], threads: int) -> None:
    """Train and validate for one epoch and add to the logs."""
    watch, processor = Stopwatch(), Stopwatch(time.process_time)
    means = training.epoch(epoch, progress=_progress(f"epoch {epoch + 1}/{epochs}", training.sizes.iterations))
    seconds, busy = watch.lap(), processor.lap()
    errors = training.validate()
    row = {**means, **errors, "weights_sha256": checksum(training.network.state_dict())}
    error = errors.get("validation_error")
    if error is not None:
        if logs["best"] is None or error < logs["best"]["validation_error"]:
            network = {name: _on_cpu(value) for name, value in training.network.state_dict().items()}
            logs["best"] = {**errors, "epoch": epoch + 1, "network": network}
    logs["epochs"].append(row)
    logs["timing"].append(
        {
            "epoch": epoch + 1,
            "seconds": seconds,
            "images_per_second": training.sizes.images / seconds,
            "start": logs["starts"],
            "threads": threads,
            "processor_seconds": busy,
        }
    )
    validation = "" if error is None else f"  validation error {error:.2%}"
    _say(
        f"epoch {epoch + 1}/{epochs}  rate {means['learning_rate']:.4g}  loss {means['train_loss']:.4f}  "
        f"train error {means['train_error']:.2%}{validation}  {seconds:.1f} s"
    )


def parameters_hash(cell: Cell) -> str:
    """Return the SHA-256 of a cell's parameters, independent of the order of keys."""
    return hashlib.sha256(json.dumps(cell.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _on_cpu(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True)


def _progress(title: str, total: int) -> Callable[[Iterator[Batch]], Iterator[Batch]]:
    """Return a progress bar over batches in a terminal, and nothing elsewhere."""

    def wrap(batches: Iterator[Batch]) -> Iterator[Batch]:
        return iter(tqdm(batches, desc=title, total=total, leave=False, file=sys.stderr))

    return wrap if sys.stderr.isatty() else iter


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
