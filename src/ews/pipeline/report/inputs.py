"""What reports read of runs: each file once per command, through :mod:`ews.pipeline.artifacts`, and as it was asked."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, RootModel

from ews.core.errors import EwsError
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import Result, read_arrays, read_result, reevaluate
from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.run import FinishedRun, retrain
from ews.pipeline.artifacts.tables import Channel, Epoch, Update
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report.study_rows import Entry
from ews.pipeline.study.cell import Cell

AnyResult = Result[Any, Any]


class RunRecord(Record):
    """A run's record as records.json has it: which cell of the study it is of, and what evaluations warn of.

    Attributes:
        run: folder below results/runs.
        evaluation: subfolder with non-default evaluation settings, or "".
        warnings: by evaluation and weights, ``last`` and maybe ``best``, reasons to distrust numbers, in sentences.
        notes: by evaluation, what captions say of how this run was measured, in sentences.
    """

    run: str
    evaluation: str
    warnings: dict[str, dict[str, tuple[str, ...]]] = Field(default={})
    notes: dict[str, tuple[str, ...]] = Field(default={})


class RunRecords(RootModel[tuple[RunRecord, ...]]):
    """The content of records.json: a record for each cell of the study, in its order."""


class Inputs:
    """The runs of a study; what was read is kept for the rest of the command."""

    def __init__(self, runs: Path) -> None:
        """Take the folder of all runs."""
        self._runs = runs
        self._open = cache(self._opened)
        self._results: dict[tuple[str, str], AnyResult] = {}
        self._logs: dict[tuple[str, str], Any] = {}

    def run(self, run: str, cell: Cell) -> FinishedRun:
        """Return a run that was trained as a cell says.

        Raises:
            EwsError: missing, damaged, or of other parameters than the study's.
        """
        found = self._open(run)
        if found.record.cell != cell:
            raise EwsError(
                f"{found.folder / run_files.RECORD}: the run was trained with other parameters than the study asks "
                f"for. {retrain(found.folder)}"
            )
        return found

    def epochs(self, entry: Entry) -> tuple[Epoch, ...]:
        """Return the epochs of an entry's training.

        Raises:
            EwsError: missing or damaged.
        """
        return self._log(entry, run_files.EPOCHS, FinishedRun.epochs)

    def controller(self, entry: Entry) -> tuple[Update, ...]:
        """Return the updates of an entry's controller; none without one.

        Raises:
            EwsError: missing or damaged.
        """
        return self._log(entry, run_files.CONTROLLER, FinishedRun.controller)

    def kept(self, entry: Entry) -> tuple[Channel, ...]:
        """Return how often an entry's channels were kept; nothing where none are dropped.

        Raises:
            EwsError: missing or damaged.
        """
        return self._log(entry, run_files.KEPT, FinishedRun.kept)

    def result(self, entry: Entry, kind: str) -> AnyResult | None:
        """Return what an evaluation found of an entry; None where the study does not want it.

        Raises:
            EwsError: missing, damaged, of an earlier training, or measured otherwise than the study asks for.
        """
        asked = entry.options(kind)
        if asked is None:
            return None
        key = (entry.results, kind)
        if key not in self._results:
            folder = self._runs / entry.results
            found = read_result(folder, EVALUATIONS[kind], self.run(entry.run, entry.cell))
            if found.options != asked:
                was, wanted = found.options.model_dump(), asked.model_dump()
                texts = [f"{name} {was[name]}, not {wanted[name]}" for name in was if was[name] != wanted.get(name)]
                raise EwsError(
                    f"{folder / run_files.result(kind)}: was measured with other settings than the study asks for: "
                    f"{', '.join(texts)}. {reevaluate(folder / run_files.result(kind))}"
                )
            self._results[key] = found
        return self._results[key]

    def arrays(self, entry: Entry, result: AnyResult) -> dict[str, np.ndarray]:
        """Return the per-image arrays of an evaluation; these are large, and not kept.

        Raises:
            EwsError: missing, or not the file that the result vouches for.
        """
        return read_arrays(self._runs / entry.results, result)

    def place(self, entry: Entry, name: str) -> Path:
        """Return where a file of an entry's evaluations lies, for messages."""
        return self._runs / entry.results / name

    def _opened(self, run: str) -> FinishedRun:
        return FinishedRun.open(self._runs / run)

    def _log(self, entry: Entry, name: str, read: Any) -> Any:
        key = (entry.run, name)
        if key not in self._logs:
            self._logs[key] = read(self.run(entry.run, entry.cell))
        return self._logs[key]
