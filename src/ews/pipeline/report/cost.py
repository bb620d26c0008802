"""What a training costs: seconds per epoch by its record, and how many times those of vanilla."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ews.core.errors import EwsError
from ews.pipeline.report.inputs import RETRAIN, number
from ews.pipeline.report.manifest import Label, Manifest

# Which of a record's clocks tells the cost: other programs disturb processor time less, but a GPU's work is not in it.
CLOCKS = {"cpu": "processor", "cuda": "wall"}


@dataclass(frozen=True)
class Cost:
    """What the trainings of one row cost.

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


def costs(manifest: Manifest, records: Sequence[Mapping[str, Any]]) -> dict[Label, Cost]:
    """Return the cost of each row of which every training recorded one, on one kind of clock.

    Args:
        manifest: the study.
        records: record.json of each of its entries, in their order.

    Raises:
        EwsError: a record's time is no finite number of seconds, or is negative.
    """
    by_entry = {entry.run: record for entry, record in zip(manifest.entries, records, strict=True)}
    found = {}
    for label in manifest.labels:
        timed = {entry.seed: epoch_seconds(entry.run, by_entry[entry.run]) for entry in manifest.of(label)}
        times = {seed: one for seed, one in timed.items() if one is not None}
        clocks = {clock for clock, _ in times.values()}
        if len(times) < len(timed) or len(clocks) > 1:
            continue
        seconds = {seed: value for seed, (_, value) in times.items()}
        found[label] = Cost(clocks.pop(), seconds, _relative(manifest, label, seconds, by_entry))
    return found


def _relative(
    manifest: Manifest, label: Label, seconds: Mapping[int, float], records: Mapping[str, Mapping[str, Any]]
) -> dict[int, float]:
    """Divide by the seconds of what the row is compared with, seed by seed."""
    baseline = manifest.baseline(label)
    if baseline is None:
        return {}
    own = {entry.seed: records[entry.run] for entry in manifest.of(label)}
    ratios = {}
    for entry in manifest.of(baseline):
        other = epoch_seconds(entry.run, records[entry.run])
        if entry.seed in own and other and _machine(own[entry.seed]) == _machine(records[entry.run]):
            ratios[entry.seed] = seconds[entry.seed] / other[1]
    return ratios


def epoch_seconds(run: str, record: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the clock and the seconds; None in a record from before they were kept, or of no measurable time.

    Raises:
        EwsError: the record's time is no finite number of seconds, or is negative; the message names ``run``.
    """
    times = record.get("epoch_seconds")
    device = (record.get("hardware") or {}).get("device")
    if times is None or device is None:
        return None
    where = f"{run}/record.json: epoch_seconds"
    clock = CLOCKS.get(device, "wall")
    if not isinstance(times, Mapping):
        raise EwsError(f"{where}: must map clocks to seconds, not be {times!r}. {RETRAIN}")
    value = number(times, clock, where=where, remedy=RETRAIN)
    if value < 0:
        raise EwsError(f"{where}: {clock} is {value:g} seconds; a time is not negative. {RETRAIN}")
    return (clock, value) if value else None


def _machine(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two records must have alike for their times to be compared."""
    hardware = record.get("hardware") or {}
    return tuple(hardware.get(key) for key in ("device", "cpu", "gpu", "threads"))
