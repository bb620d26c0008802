"""The files of a finished training, each written whole or not at all, record.json last."""

import csv
import io
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from ews.core import files
from ews.methods.component import Table
from ews.pipeline.artifacts import record
from ews.pipeline.train.training import Training

MODEL = "model.safetensors"
BEST = "model-best.safetensors"
EPOCHS = "epochs.csv"
TIMING = "timing.csv"


def clear(out: Path) -> None:
    """Remove an earlier training's files, and what a killed one left of files half-written."""
    names = (MODEL, BEST, EPOCHS, TIMING, "controller.csv", "kept.csv", record.NAME)
    for name in (*names, "state.pt"):
        for rest in out.glob(f".{name}.*"):
            rest.unlink()
    for name in names:
        (out / name).unlink(missing_ok=True)


def write(
    out: Path,
    *,
    cell: Mapping[str, Any],
    training: Training,
    logs: Mapping[str, Any],
    code: str,
    hardware: Mapping[str, Any],
    teachers: Mapping[str, str],
) -> None:
    """Write a finished training's files.

    Args:
        out: the run folder.
        cell: the training's resolved parameters.
        training: after its last epoch.
        logs: ``epochs``, ``timing``, ``best``, ``wall_clock``, ``peak_memory`` of the loop.
        code: fingerprint of the code.
        hardware: from :func:`ews.pipeline.artifacts.record.hardware`.
        teachers: SHA-256 of the weights of each network that it learned from, by role.
    """
    save_weights(out / MODEL, training.network.state_dict())
    best = logs["best"]
    if best is not None:
        save_weights(out / BEST, best["network"])
    tables = {name: Table(tuple(rows[0]), rows) for name, rows in ((EPOCHS, logs["epochs"]), (TIMING, logs["timing"]))}
    tables |= training.method.tables()
    for name, table in tables.items():
        write_table(out / name, table)
    last = logs["epochs"][-1]
    metrics = {name: value for name, value in last.items() if name not in ("epoch", "learning_rate")}
    metrics.setdefault("validation_error", None)
    metrics["best_validation_error"] = best["validation_error"] if best else None
    metrics["best_epoch"] = best["epoch"] if best else None
    if best and "validation_clean_error" in best:
        metrics["best_validation_clean_error"] = best["validation_clean_error"]
    content = record.record(
        cell=cell,
        data=training.dataset.checksum,
        code=code,
        hardware=hardware,
        wall_clock=logs["wall_clock"],
        epoch_seconds={
            clock: statistics.median(row[column] for row in logs["timing"])
            for clock, column in (("wall", "seconds"), ("processor", "processor_seconds"))
        },
        peak_memory=logs["peak_memory"],
        counts={
            "parameters": sum(parameter.numel() for parameter in training.network.parameters()),
            "train_images": len(training.indices),
            "validation_images": len(training.validation),
            "epochs": len(logs["epochs"]),
            "starts": logs["starts"],
            **({"extra_images": len(training.extra.source.labels)} if training.extra else {}),
        },
        teachers=teachers,
        extra_data=training.extra.source.checksum if training.extra else None,
        metrics=metrics,
        outputs=[out / name for name in (MODEL, *([BEST] if best else []), *tables)],
    )
    files.write_json(out / record.NAME, content)


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a network's parameters and buffers as safetensors, atomically; same weights, same bytes."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with files.atomic(path) as temporary:
        # Not save_file: its own temporary file has a name that nobody would know to clear after a kill.
        temporary.write_bytes(save(tensors))


def write_table(path: Path, table: Table) -> None:
    """Write a table as CSV, atomically; floats in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, table.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.rows)
    files.write_text(path, text.getvalue())
