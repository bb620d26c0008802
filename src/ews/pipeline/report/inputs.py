"""Reading the files that a run leaves behind, each value checked where it enters the reports."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError
from ews.core.files import read_json, sha256
from ews.pipeline.report.metrics import SEVERITIES

Rows = list[dict[str, str]]
RETRAIN = "Train this run again (delete the file, then run the workflow)."
REEVALUATE = "Evaluate this run again (delete the file, then run the workflow)."


@dataclass(frozen=True)
class Score:
    """An error (or accuracy) in percent, and on how many different images it was measured (None: not recorded)."""

    error: float
    n: int | None


def read_rows(path: Path, *, remedy: str) -> Rows:
    """Read a CSV file with a header into one mapping per row; an empty file has no rows.

    Raises:
        EwsError: the file is missing, is no text, or a row has more or fewer fields than the header.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file. {remedy}") from None
    except UnicodeDecodeError as error:
        raise EwsError(f"{path}: not a text file ({error}). {remedy}") from None
    rows: Rows = []
    for row in csv.DictReader(text.splitlines()):
        if None in row or None in row.values():
            raise EwsError(f"{path}: row {len(rows) + 2} does not have the header's number of fields. {remedy}")
        rows.append(row)
    return rows


def number(row: Mapping[str, Any], column: str, *, where: str, remedy: str) -> float:
    """Return a finite number of a row.

    Raises:
        EwsError: the column is missing, or its value is no finite number.
    """
    if column not in row:
        raise EwsError(f"{where}: has no {column!r}; it has {', '.join(map(str, row))}. {remedy}")
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(row[column], bool) or not math.isfinite(value):
        raise EwsError(f"{where}: {column} is {row[column]!r}, not a finite number. {remedy}")
    return value


def percent(row: Mapping[str, Any], column: str, *, where: str, remedy: str) -> float:
    """Return a number of percent, in [0, 100].

    Raises:
        EwsError: as :func:`number`, or out of range.
    """
    value = number(row, column, where=where, remedy=remedy)
    if not 0 <= value <= 100:
        raise EwsError(f"{where}: {column} is {value:g}; an error in percent lies between 0 and 100. {remedy}")
    return value


def read_record(path: Path, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Read a run's record.json and check that it is the record of this cell.

    Raises:
        EwsError: missing, damaged, or of other parameters than the study's.
    """
    record = read_object(path, RETRAIN)
    if record.get("cell") != cell:
        raise EwsError(f"{path}: the run was trained with other parameters than the study asks for. {RETRAIN}")
    return record


def read_clean(path: Path, *, record: Path, test_images: int | None) -> dict[str, Score]:
    """Read clean.json: the last epoch's score as ``last``, and that of the selected weights, if any, as ``best``.

    Raises:
        EwsError: missing, damaged, of weights that another record than ``record`` describes, or of other test images
            than the study's.
    """
    raw = read_object(path, REEVALUATE)
    if raw.get("record") not in (None, sha256(record)):
        raise EwsError(f"{path}: is of an earlier training than {record.name} describes. {REEVALUATE}")
    _check_images(raw, path, test_images)
    scores = {"last": score(raw, str(path))}
    if isinstance(raw.get("best"), dict):
        # The selected weights are measured on the same images; n is repeated in some files and not in others.
        scores["best"] = score({"n": raw["n"], **raw["best"]}, f"{path}: best")
    return scores


def check_weights(about: Path, *, record: Path, test_images: int | None) -> None:
    """Refuse an evaluation, described by the JSON file ``about``, of other weights than the record's.

    Raises:
        EwsError: the file is missing or damaged, of weights that another record than ``record`` describes, or of other
            test images than the study's.
    """
    raw = read_object(about, REEVALUATE)
    if raw.get("record") != sha256(record):
        raise EwsError(f"{about}: is of an earlier training than {record.name} describes. {REEVALUATE}")
    _check_images(raw, about, test_images)


def _check_images(raw: Mapping[str, Any], path: Path, planned: int | None) -> None:
    if raw.get("test_images", planned) != planned:
        measured, wanted = (count or "all" for count in (raw["test_images"], planned))
        raise EwsError(f"{path}: was measured on {measured} test images; the study asks for {wanted}. {REEVALUATE}")


def read_corruption(path: Path, corruptions: Sequence[str]) -> dict[str, dict[int, Score]]:
    """Read corruption.csv: the score by corruption and severity, for exactly the study's corruptions.

    Raises:
        EwsError: a corruption or severity is missing, stands twice, or is not asked for.
    """
    scores: dict[str, dict[int, Score]] = {name: {} for name in corruptions}
    for place, row in enumerate(read_rows(path, remedy=REEVALUATE)):
        where = f"{path}: row {place + 2}"
        name, severity = row.get("corruption", ""), number(row, "severity", where=where, remedy=REEVALUATE)
        if name not in scores or severity not in SEVERITIES:
            raise EwsError(
                f"{where}: {name!r} at severity {severity:g} is not in the study ({', '.join(corruptions)}, "
                f"severities 1 to {SEVERITIES[-1]}). {REEVALUATE}"
            )
        if int(severity) in scores[name]:
            raise EwsError(f"{where}: {name} at severity {severity:g} stands twice. {REEVALUATE}")
        scores[name][int(severity)] = score(row, where)
    lacking = [f"{name} {severity}" for name in scores for severity in SEVERITIES if severity not in scores[name]]
    if lacking:
        raise EwsError(f"{path}: lacks {', '.join(lacking[:5])}{', ...' if len(lacking) > 5 else ''}. {REEVALUATE}")
    return scores


def read_perturbation(
    path: Path, perturbations: Sequence[str], *, record: Path, test_images: int | None
) -> dict[str, Score]:
    """Read perturbation.csv: the flip probability by perturbation, for exactly the study's perturbations.

    Raises:
        EwsError: a perturbation is missing, stands twice, or is not asked for; or as :func:`check_weights`.
    """
    check_weights(path.with_suffix(".json"), record=record, test_images=test_images)
    scores: dict[str, Score] = {}
    for place, row in enumerate(read_rows(path, remedy=REEVALUATE)):
        where, name = f"{path}: row {place + 2}", row.get("perturbation", "")
        if name not in perturbations:
            raise EwsError(f"{where}: {name!r} is not in the study ({', '.join(perturbations)}). {REEVALUATE}")
        if name in scores:
            raise EwsError(f"{where}: {name} stands twice. {REEVALUATE}")
        scores[name] = score(row, where, column="flip_probability")
    lacking = [name for name in perturbations if name not in scores]
    if lacking:
        raise EwsError(f"{path}: lacks {', '.join(lacking)}. {REEVALUATE}")
    return {name: scores[name] for name in perturbations}


def read_epochs(path: Path) -> list[dict[str, float | None]]:
    """Read epochs.csv: one row per epoch, errors as shares in [0, 1], None where a field is empty.

    Raises:
        EwsError: no epoch, or a value that is no finite number.
    """
    rows = read_rows(path, remedy=RETRAIN)
    if not rows:
        raise EwsError(f"{path}: holds no epoch. {RETRAIN}")
    return [
        {
            name: None if row[name] == "" else number(row, name, where=f"{path}: row {place + 2}", remedy=RETRAIN)
            for name in row
        }
        for place, row in enumerate(rows)
    ]


def share(row: Mapping[str, float | None], column: str, *, where: str) -> float | None:
    """Return an error of epochs.csv, a share in [0, 1], as percent; None where there is none.

    Raises:
        EwsError: out of range.
    """
    value = row.get(column)
    if value is not None and not 0 <= value <= 1:
        raise EwsError(f"{where}: {column} is {value:g}; an error as a share lies between 0 and 1. {RETRAIN}")
    return None if value is None else 100 * value


def read_log(path: Path, columns: Sequence[str]) -> dict[str, list[float]] | None:
    """Read those of a log's columns that it has; None where there is no such file or no row.

    Raises:
        EwsError: a value is no finite number.
    """
    if not path.exists():
        return None
    rows = read_rows(path, remedy=RETRAIN)
    if not rows:
        return None
    return {
        column: [
            number(row, column, where=f"{path}: row {place + 2}", remedy=RETRAIN) for place, row in enumerate(rows)
        ]
        for column in columns
        if column in rows[0]
    }


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        EwsError: missing, damaged, or something else.
    """
    if not path.exists():
        raise EwsError(f"{path}: no such file. {remedy}")
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise EwsError(f"{path}: not a JSON object. {remedy}")
    return raw


def score(row: Mapping[str, Any], where: str, *, column: str = "error") -> Score:
    """Return the error of a row, in ``column``, and on how many images, in ``n``.

    Raises:
        EwsError: one of the two is missing or impossible.
    """
    error = percent(row, column, where=where, remedy=REEVALUATE)
    images = number(row, "n", where=where, remedy=REEVALUATE)
    if images < 1 or images != int(images):
        raise EwsError(f"{where}: n is {images:g}, not a number of images. {REEVALUATE}")
    return Score(error, int(images))
