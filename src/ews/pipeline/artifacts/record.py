"""What a run was: parameters, code, data, versions, hardware, cost and result; it vouches for the run's other files."""

from typing import Annotated

from pydantic import Field

from ews.core.documents import Document, seal_of
from ews.core.machine_types import Git, Hardware
from ews.pipeline.artifacts import run_files
from ews.pipeline.study.cell import Cell

Seconds = Annotated[float, Field(ge=0)]


class EpochSeconds(Document):
    """Medians over the epochs, validation not included.

    Attributes:
        wall: by the clock.
        processor: time of the process on all its cores, which other programs on the machine disturb less; workers do
            not count.
    """

    wall: Seconds
    processor: Seconds


class Repeated(Document):
    """A first epoch, repeated under other code than it was trained by.

    Attributes:
        run: folder below results/runs of the run whose epoch it was.
        weights_sha256: checksum of the weights that came out.
        loss: mean training loss of the epoch, nats.
        exact: whether the weights are those of the record bit for bit, as a CPU has them.
        tolerance: relative, within which the loss agrees; None where weights were compared.
        hardware: on which it was repeated.
        torch: its version.
    """

    run: str
    weights_sha256: str
    loss: float
    exact: bool
    tolerance: float | None
    hardware: Hardware
    torch: str


class Acceptance(Document):
    """That a run counts for other code than trained it (``ews accept``).

    Attributes:
        before: fingerprint of the code that it counted for.
        after: fingerprint of the code that it counts for since.
        reason: why the change touches no result, in somebody's words.
        date: UTC, ISO 8601.
        check: of the run's kind.
    """

    before: str
    after: str
    reason: str
    date: str
    check: Repeated


class Record(Document):
    """The content of record.json.

    Attributes:
        cell: resolved parameters of the training run.
        seed: of the training run.
        data: checksum of the dataset.
        extra_data: checksum of the extra images; None: the training run used none.
        teachers: SHA-256 of the weights of the networks that the training run learned from, by role.
        code: fingerprint of the code that it counts for: that trained it, unless it was accepted for another.
        accepted: when and why it was, oldest first; mostly never.
        git: revision of the package's repository; None without one.
        versions: of Python and of the packages that compute.
        hardware: of the last start.
        wall_clock_seconds: summed over all starts up to their last whole epoch.
        epoch_seconds: None in records from before it was kept.
        peak_memory_bytes: by kind, ``cpu`` and maybe ``gpu``; the largest of all starts.
        counts: ``parameters``, ``train_images``, ``validation_images``, ``epochs``, ``starts``, maybe ``extra_images``.
        metrics: errors as shares in [0, 1], losses in nats, epochs counted from 1; None where there is none.
        files: SHA-256 of the run's other files by name.
    """

    cell: Cell
    seed: int
    data: str
    extra_data: str | None = None
    teachers: dict[str, str] = Field(default={})
    code: str
    accepted: tuple[Acceptance, ...] = ()
    git: Git | None
    versions: dict[str, str]
    hardware: Hardware
    wall_clock_seconds: Seconds
    epoch_seconds: EpochSeconds | None = None
    peak_memory_bytes: dict[str, int]
    counts: dict[str, int]
    metrics: dict[str, int | float | None]
    files: dict[str, str]

    @property
    def identity(self) -> str:
        """SHA-256 of what a measurement of the run depends on: its network, its weights and the data.

        Neither the code that it counts for is part of it nor what it cost: a run that is accepted for other code keeps
        its evaluations.
        """
        weights = {name: checksum for name, checksum in self.files.items() if name in run_files.WEIGHTS.values()}
        architecture = self.cell.architecture.model_dump(mode="json")
        return seal_of({"architecture": architecture, "data": self.data, "weights": weights})
