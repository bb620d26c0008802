"""What a training costs: seconds per epoch by its record, and how many times those of vanilla."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ews.pipeline.artifacts.record import Record
from ews.pipeline.report.inputs import RunRecord
from ews.pipeline.report.study_rows import Label, Manifest

# Which of a record's clocks tells the cost: other programs disturb processor time less, but a GPU's work is not in it.
CLOCKS = {"cpu": "processor", "cuda": "wall"}


@dataclass(frozen=True)
class Cost:
    """What the training runs of one row cost.

    Attributes:
        clock: ``processor`` (time of the process on all its cores) or ``wall``.
        seconds: of the median epoch, by seed.
        relative: the same divided by that of vanilla, or of the method without subnets, of the same seed and
            circumstances, by seed; only for seeds where that was trained on an equal machine, and so possibly empty.
    """

    clock: str
    seconds: Mapping[int, float]
    relative: Mapping[int, float]


Costs = Mapping[Label, Cost]


def costs(manifest: Manifest, records: Sequence[RunRecord]) -> dict[Label, Cost]:
    """Return the cost of each row of which every training run recorded one, on one kind of clock.

    Args:
        manifest: the study.
        records: of each of its entries, in their order.
    """
    by_entry = {entry.run: record for entry, record in zip(manifest.entries, records, strict=True)}
    found = {}
    for label in manifest.labels:
        timed = {entry.seed: epoch_seconds(by_entry[entry.run]) for entry in manifest.of(label)}
        times = {seed: one for seed, one in timed.items() if one is not None}
        clocks = {clock for clock, _ in times.values()}
        if len(times) < len(timed) or len(clocks) > 1:
            continue
        seconds = {seed: value for seed, (_, value) in times.items()}
        found[label] = Cost(clocks.pop(), seconds, _relative(manifest, label, seconds, by_entry))
    return found


def _relative(
    manifest: Manifest, label: Label, seconds: Mapping[int, float], records: Mapping[str, Record]
) -> dict[int, float]:
    """Divide by the seconds of what the row is compared with, seed by seed."""
    baseline = manifest.baseline(label)
    if baseline is None:
        return {}
    own = {entry.seed: records[entry.run] for entry in manifest.of(label)}
    ratios = {}
    for entry in manifest.of(baseline):
        other = epoch_seconds(records[entry.run])
        if entry.seed in own and other and _machine(own[entry.seed]) == _machine(records[entry.run]):
            ratios[entry.seed] = seconds[entry.seed] / other[1]
    return ratios


def epoch_seconds(record: Record) -> tuple[str, float] | None:
    """Return the clock and the seconds; None in a record from before they were kept, or of no measurable time."""
    if record.epoch_seconds is None:
        return None
    clock = CLOCKS.get(record.hardware.device, "wall")
    value = record.epoch_seconds.processor if clock == "processor" else record.epoch_seconds.wall
    return (clock, value) if value else None


def _machine(record: Record) -> tuple[str, str, str | None, int]:
    """Return what two records must have alike for their times to be compared."""
    found = record.hardware
    return found.device, found.cpu, found.gpu, found.threads
