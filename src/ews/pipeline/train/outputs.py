"""The files of a finished training run, all written or none, record.json last."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ews.core import machine
from ews.core.files import sha256, staged
from ews.core.machine_types import Hardware
from ews.methods.component import Table
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.record import EpochSeconds, Record
from ews.pipeline.artifacts.run import write_record
from ews.pipeline.artifacts.tables import write_rows
from ews.pipeline.artifacts.weights import save_weights
from ews.pipeline.study.cell import Cell
from ews.pipeline.train.training import Training


def write(
    out: Path,
    *,
    cell: Cell,
    training: Training,
    logs: Mapping[str, Any],
    code: str,
    hardware: Hardware,
    teachers: Mapping[str, str],
) -> None:
    """Write a finished training run's files.

    Args:
        out: the folder to write them to.
        cell: the training run's resolved parameters.
        training: after its last epoch.
        logs: ``epochs``, ``timing``, ``best``, ``wall_clock``, ``peak_memory`` of the loop.
        code: fingerprint of the code.
        hardware: from :func:`ews.core.machine.hardware`.
        teachers: SHA-256 of the weights of each network that it learned from, by role.

    Raises:
        EwsError: they cannot be written; none is there then.
    """
    with staged(out, last=run_files.RECORD) as new:
        save_weights(new / run_files.LAST, training.network.state_dict())
        best = logs["best"]
        if best is not None:
            save_weights(new / run_files.BEST, best["network"])
        tables = {
            name: Table(tuple(rows[0]), rows)
            for name, rows in ((run_files.EPOCHS, logs["epochs"]), (run_files.TIMING, logs["timing"]))
        }
        tables |= training.method.tables()
        for name, table in tables.items():
            write_rows(new / name, table.columns, table.rows)
        last = logs["epochs"][-1]
        metrics = {
            name: value for name, value in last.items() if name not in ("epoch", "learning_rate", "weights_sha256")
        }
        metrics.setdefault("validation_error", None)
        metrics["best_validation_error"] = best["validation_error"] if best else None
        metrics["best_epoch"] = best["epoch"] if best else None
        if best and "validation_clean_error" in best:
            metrics["best_validation_clean_error"] = best["validation_clean_error"]
        written = [run_files.LAST, *([run_files.BEST] if best else []), *tables]
        content = Record(
            cell=cell,
            seed=cell.seed,
            data=training.dataset.checksum,
            extra_data=training.extra.source.checksum if training.extra else None,
            teachers=dict(teachers),
            code=code,
            git=machine.git(),
            versions=machine.versions(),
            hardware=hardware,
            wall_clock_seconds=round(logs["wall_clock"], 3),
            epoch_seconds=EpochSeconds(
                wall=round(statistics.median(row["seconds"] for row in logs["timing"]), 3),
                processor=round(statistics.median(row["processor_seconds"] for row in logs["timing"]), 3),
            ),
            peak_memory_bytes=logs["peak_memory"],
            counts={
                "parameters": sum(parameter.numel() for parameter in training.network.parameters()),
                "train_images": len(training.indices),
                "validation_images": len(training.validation),
                "epochs": len(logs["epochs"]),
                "starts": logs["starts"],
                **({"extra_images": len(training.extra.source.labels)} if training.extra else {}),
            },
            metrics=metrics,
            files={name: sha256(new / name) for name in sorted(written)},
        )
        write_record(new, content)
