"""Where a cell lives: names of run folders, one per distinct set of resolved parameters."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

Cell = Mapping[str, Any]
LONGEST = 100
_PLAIN = re.compile(r"[a-z0-9+=,._-]*")


def run_path(cell: Cell, default: Cell) -> str:
    """Return a cell's folder below results/runs: dataset/architecture/augmentation/method/seedK.

    Args:
        cell: the resolved cell.
        default: the same cell with the parameters that params.yaml gives without a study's overrides.
    """
    parts = (
        cell["dataset"],
        cell["architecture"]["name"],
        cell["augmentation"]["name"],
        tagged(cell["method"]["name"], differences(flatten(cell), flatten(default))),
        f"seed{cell['seed']}",
    )
    return "/".join(parts)


def flatten(cell: Cell) -> dict[str, Any]:
    """Return a cell's parameters as one mapping: `ews.width`, `recipe.epochs`, `augmentation.severity`, ..."""
    flat = {
        f"{section}.{key}": value
        for section in ("architecture", "augmentation", "recipe")
        for key, value in cell[section].items()
        if key != "dynamic"
    }
    flat |= {f"architecture.dynamic.{key}": value for key, value in cell["architecture"].get("dynamic", {}).items()}
    for component in cell["method"]["components"]:
        flat |= {f"{component['name']}.{key}": value for key, value in component.items() if key != "teachers"}
        for role, teacher in component.get("teachers", {}).items():
            # The folder says all there is to say: two cells in one are refused.
            _, architecture, augmentation, method, seed = teacher["run"].split("/")
            place = f"{component['name']}.teachers.{role}"
            values = {"method": method, "architecture": architecture, "augmentation": augmentation}
            values |= {"seed": int(seed.removeprefix("seed")), "weights": teacher["weights"]}
            flat |= {f"{place}.{key}": value for key, value in values.items()}
    return {key: value for key, value in flat.items() if not key.endswith(".name")}


def differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of ``values`` that ``defaults`` lacks or has otherwise, sorted by key."""
    return {key: values[key] for key in sorted(values) if key not in defaults or values[key] != defaults[key]}


def tagged(name: str, values: Mapping[str, Any]) -> str:
    """Append `,key=value` for each value, or a hash where that is over 100 characters or cannot be spelled."""
    spelled = {key: spell(value) for key, value in values.items()}
    text = name + "".join(f",{key}={value}" for key, value in spelled.items())
    # A comma within a value, of a teacher that is not the default one, would read as the end of it.
    if len(text) <= LONGEST and _PLAIN.fullmatch(text) and not any("," in value for value in spelled.values()):
        return text
    return f"{name},hash={digest(dict(values))}"


def spell(value: Any) -> str:
    """Write a parameter's value as it stands in folder names and tables."""
    if isinstance(value, list):
        return "-".join(spell(part) for part in value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    # The shortest text that reads back as the same float: two values never look alike.
    return repr(value) if isinstance(value, float) else str(value)


def canonical(value: Any) -> str:
    """Return JSON that is the same text for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return 12 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]
