"""CSV files of a run: written from plain rows, read as typed ones."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ews.core.errors import EwsError
from ews.core.files import write_text

Share = Annotated[float, Field(ge=0, le=1)]


class Row(BaseModel):
    """A line of a CSV file: an empty field is one that is not there; text is read as what the type says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, fields: Any) -> Any:
        return {name: value for name, value in fields.items() if value != ""} if isinstance(fields, dict) else fields


class Epoch(Row):
    """A line of epochs.csv: errors as shares in [0, 1]; a method's own numbers stand beside these.

    ``weights_sha256`` is the checksum of the weights after the epoch (:func:`ews.pipeline.artifacts.weights.checksum`).
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    epoch: int
    learning_rate: float
    train_loss: float
    train_error: Share
    validation_error: Share | None = None
    validation_clean_error: Share | None = None
    weights_sha256: str

    def value(self, column: str) -> float | None:
        """Return the number in a column, a method's own ones included; None where there is none."""
        found: float | None = getattr(self, column, None)
        return found


class Timing(Row):
    """A line of timing.csv: what an epoch took, validation not included, and in which start of the training run."""

    epoch: int
    seconds: float
    images_per_second: float
    start: int
    threads: int
    processor_seconds: float


class Update(Row):
    """A line of controller.csv, an update of what searches subnets; None where that search has no such value."""

    iteration: int
    epoch: int
    reward: float | None = None
    baseline: float | None = None
    entropy: float | None = None
    loss: float | None = None
    gradient_norm: float | None = None
    subnet_accuracy: float | None = None
    full_accuracy: float | None = None


class Channel(Row):
    """A line of kept.csv: in how many of the distilled subnets a hidden channel was kept."""

    block: int
    layer: int
    channel: int
    kept: int
    subnets: int


R = TypeVar("R", bound=Row)


def read_rows(path: Path, kind: type[R], *, remedy: str) -> tuple[R, ...]:
    """Read a CSV file with a header.

    Args:
        path: the file.
        kind: the type of its lines.
        remedy: what to do where it is missing or wrong, a sentence.

    Raises:
        EwsError: missing, no text, a row with more or fewer fields than the header, or a value of another type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file. {remedy}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EwsError(f"{path}: not a text file ({error}). {remedy}") from None
    try:
        return _parsed(path, text, kind, remedy)
    except csv.Error as error:
        raise EwsError(f"{path}: not a table ({error}). {remedy}") from None


def _parsed(path: Path, text: str, kind: type[R], remedy: str) -> tuple[R, ...]:
    found = []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = reader.fieldnames or ()
    if len(set(names)) < len(names):
        raise EwsError(f"{path}: a column stands twice in its header. {remedy}")
    columns = [name for name in names if name not in kind.model_fields]
    if columns and kind.model_config.get("extra") == "forbid":
        raise EwsError(f"{path}: unknown columns {', '.join(columns)}; valid: {', '.join(kind.model_fields)}. {remedy}")
    for number, fields in enumerate(reader, start=2):
        if None in fields or None in fields.values():
            raise EwsError(f"{path}: row {number} does not have the header's number of fields. {remedy}")
        try:
            found.append(kind.model_validate(fields))
        except ValidationError as error:
            lines = [
                f"{path}: row {number}: {'.'.join(map(str, problem['loc'])) or 'the row'}: {problem['msg']}"
                + (f", not {problem['input']!r}" if isinstance(problem["input"], str) else "")
                for problem in error.errors(include_url=False)
            ]
            raise EwsError("\n".join([*lines, remedy])) from None
    return tuple(found)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, atomically; floats in the shortest form that reads back as the same number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
