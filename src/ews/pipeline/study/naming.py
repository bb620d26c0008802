"""Where a cell lives: names of run folders, one per distinct set of resolved parameters."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ews.core.levels import from_levels
from ews.pipeline.study.cell import Cell

LONGEST = 100
EVALUATION = "evaluation"  # begins the name of a folder of evaluations
RECIPE = "recipe"  # the key of a recipe's name among the values in which a training run differs
# What Snakemake's targets, shells, DVC, tar and URLs leave alone; no capitals, as some file systems ignore case.
_PLAIN = re.compile(r"[a-z0-9._-]+")


def run_path(cell: Cell, differs: Mapping[str, Any]) -> str:
    """Return a cell's folder below results/runs: dataset/architecture/augmentation/method/seedK.

    Nothing reads these names back: what a run is stands in its record.

    Args:
        cell: the resolved cell.
        differs: its parameters that are not those that params.yaml gives without a study's overrides.
    """
    parts = (
        cell.dataset,
        cell.architecture.name,
        cell.augmentation.name,
        tagged(cell.method.name, differs),
        f"seed{cell.seed}",
    )
    return "/".join(parts)


def differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of ``values`` that ``defaults`` lacks or has otherwise, sorted by key."""
    return {key: values[key] for key in sorted(values) if key not in defaults or values[key] != defaults[key]}


def tagged(name: str, values: Mapping[str, Any]) -> str:
    """Name a folder: ``at-ews`` for ``at+ews``, then ``--key-value`` for each value.

    A hash stands for the values where that is over 100 characters or has others than lower-case letters, digits and
    ``._-``. Two different cells may be spelled alike by chance; planning refuses that.
    """
    text = "--".join([name, *(f"{key}-{spell(value)}" for key, value in values.items())]).replace("+", "-")
    if len(text) <= LONGEST and _PLAIN.fullmatch(text):
        return text
    return f"{name.replace('+', '-')}--{digest(dict(values))}"


def spell(value: Any) -> str:
    """Write a parameter's value as it stands in tables, and in folder names where it can."""
    if isinstance(value, list | tuple):
        return "-".join(spell(part) for part in value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    # The shortest text that reads back as the same float: two values never look alike.
    return repr(value) if isinstance(value, float) else str(value)


def reads_as(written: Any, value: Any) -> bool:
    """Tell whether what a study or a row's name writes is read as a value: `10/255` and `1` may be floats.

    Args:
        written: as params.yaml has it, or as :func:`spell` writes that.
        value: as a cell has it.
    """
    if spell(written) == spell(value):
        return True
    if isinstance(value, list | tuple):
        parts = written.split("-") if isinstance(written, str) else written
        same_length = isinstance(parts, list | tuple) and len(parts) == len(value)
        return same_length and all(reads_as(part, one) for part, one in zip(parts, value, strict=True))
    if not isinstance(value, float) or isinstance(written, bool):
        return False
    try:
        number = from_levels(str(written))
        return (float(written) if number is None else number) == value
    except (TypeError, ValueError):
        return False


def canonical(value: Any) -> str:
    """Return JSON that is the same text for the same content, typed or not."""
    value = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return 12 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]
