"""What the figures draw beyond the measurements: the logs of each row's training runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ews.pipeline.artifacts.record import Record
from ews.pipeline.artifacts.tables import Update
from ews.pipeline.evaluate.corruption.corruption_scores import by_severity
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings
from ews.pipeline.report.captions import tested
from ews.pipeline.report.inputs import Inputs, RunRecord
from ews.pipeline.report.study_rows import Entry, Label, Manifest
from ews.pipeline.report.table_data import Results

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """A curve over seeds: ``x`` [P], and mean, lowest and highest value [P] at each point."""

    x: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Kept:
    """How often each hidden channel was kept in a training run.

    Attributes:
        layers: names of the layers, numbered as in kept.csv.
        shares: [layers, most channels], share of the distilled subnets that kept the channel, in
            [0, 1]; NaN beyond a layer's width.
        subnets: how many were distilled.
    """

    layers: list[str]
    shares: Array
    subnets: int

    @property
    def offsets(self) -> Array:
        """The shares less the mean of their layer, percentage points: zero if all channels are kept alike."""
        return 100 * (self.shares - np.nanmean(self.shares, axis=1, keepdims=True))

    @property
    def chance(self) -> float:
        """Standard deviation of the offsets, percentage points, if every channel were as likely to be kept."""
        share = float(np.nanmean(self.shares))
        return 100 * math.sqrt(share * (1 - share) / max(self.subnets, 1))


@dataclass(frozen=True)
class Study:
    """A study with its numbers and its runs, as every figure takes it."""

    manifest: Manifest
    results: Results
    inputs: Inputs

    @property
    def methods(self) -> list[str]:
        """Every method in the manifest's order, vanilla first."""
        methods = list(dict.fromkeys(label.method for label in self.results.labels))
        return sorted(methods, key=lambda method: method != "vanilla")

    def members(self, group: tuple[str, str, str]) -> list[Label]:
        """Return a group's rows."""
        return [label for label in self.results.labels if label.group == group]

    def name(self, group: tuple[str, str, str]) -> str:
        """Name a group by what tells it from the others: the augmentation, and more where more varies."""
        varying = [len({other[axis] for other in self.results.groups}) > 1 for axis in range(3)]
        return ", ".join(part for part, varies in zip(group, (*varying[:2], True), strict=True) if varies)

    def tested(self) -> str:
        """Say how many seeds and test images stand behind the study's numbers."""
        return " / ".join(dict.fromkeys(tested(self.results, group) for group in self.results.groups))

    def seeds(self) -> str:
        """Say how many seeds stand behind the study's numbers."""
        return " / ".join(dict.fromkeys(tested(self.results, group).split(",")[0] for group in self.results.groups))


def band(x: Sequence[float], curves: Sequence[Sequence[float]]) -> Band:
    """Summarise curves over seeds, cut to the shortest of them."""
    length = min(len(x), *(len(curve) for curve in curves))
    values = np.array([list(curve)[:length] for curve in curves], dtype=np.float64)
    return Band(np.array(x[:length], dtype=np.float64), values.mean(0), values.min(0), values.max(0))


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Average over a centred window of odd length, shorter at both ends."""
    half = window // 2
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    return [float(value) for value in (sums[high] - sums[low]) / (high - low)]


def epochs(study: Study, label: Label, column: str, *, scale: float = 1.0) -> Band | None:
    """Return a column of a row's epochs.csv over seeds; None if a training run has no such values."""
    curves = []
    for entry in study.manifest.of(label):
        values = [row.value(column) for row in study.inputs.epochs(entry)]
        if any(value is None for value in values):
            return None
        curves.append([scale * value for value in values if value is not None])
    return band(range(1, 1 + max(map(len, curves))), curves)


def severities(study: Study, label: Label, members: Sequence[str]) -> dict[int, list[float]]:
    """Return a row's error by severity, one value per seed: the mean over the corruptions ``members``."""
    found: dict[int, list[float]] = {}
    for entry in study.manifest.of(label):
        result = study.inputs.result(entry, "corruption")
        if result is None or not isinstance(result.result, CorruptionFindings):
            continue
        scores = by_severity(result.result)
        for severity in sorted(scores[members[0]]):
            errors = [scores[name][severity].error for name in members]
            found.setdefault(severity, []).append(sum(errors) / len(errors))
    return found


def controllers(study: Study, label: Label) -> list[tuple[Update, ...]]:
    """Return the controller logs of a row's training runs; empty if it has no controller."""
    logs = [study.inputs.controller(entry) for entry in study.manifest.of(label)]
    return [log for log in logs if log]


def curve(log: Sequence[Update], column: str) -> list[float] | None:
    """Return a column of a controller's log; None where a value is missing."""
    values = [getattr(update, column) for update in log]
    return None if any(value is None for value in values) else [float(value) for value in values]


def records(study: Study) -> list[RunRecord]:
    """Return the record of each entry of the manifest."""
    return [
        RunRecord(**dict(study.inputs.run(entry.run, entry.cell).record), run=entry.run, evaluation=entry.evaluation)
        for entry in study.manifest.entries
    ]


def teachers(study: Study) -> dict[str, Record]:
    """Return the record of each network that rows learn from and that is no row, by run."""
    return {run: study.inputs.run(run, cell).record for run, cell in study.manifest.teachers.items()}


def kept(study: Study, entry: Entry) -> Kept | None:
    """Return how often each hidden channel was kept in a training run; None where none are dropped."""
    rows = study.inputs.kept(entry)
    if not rows:
        return None
    layers = sorted({(row.block, row.layer) for row in rows})
    # With one hidden layer a block, as in basic blocks, the block's number says it all.
    plain = all(layer == 0 for _, layer in layers)
    names = [f"block {block}" if plain else f"block {block}, layer {layer}" for block, layer in layers]
    shares = np.full((len(layers), 1 + max(row.channel for row in rows)), np.nan)
    for row in rows:
        shares[layers.index((row.block, row.layer)), row.channel] = row.kept / max(row.subnets, 1)
    return Kept(names, shares, max(row.subnets for row in rows))
