"""Whether a run is what would be made here: same parameters, same code, same data, and every file as it was written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ews.evaluate.uses
import ews.train.uses
from ews import files
from ews.adopt.bundle import Files
from ews.errors import EwsError
from ews.fingerprint import fingerprint
from ews.study.naming import canonical, differences, flatten

RECORD = "record.json"
NEEDED = ("model.safetensors", "epochs.csv")
SEARCHING = ("controller.csv", "kept.csv")
WEIGHTS = {"last": "model.safetensors", "best": "model-best.safetensors"}
# Kind of evaluation: its JSON file, which vouches for the others.
EVALUATIONS = {kind: f"{kind}.json" for kind in ("clean", "corruption", "perturbation", "adversarial", "adaptive")}


def training(
    run: str, found: Files, planned: Mapping[str, Any], *, checksums: Mapping[str, str], teachers: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with a training; nothing where it can be placed.

    Args:
        run: its folder below results/runs.
        found: its files.
        planned: the cell that params.yaml plans there.
        checksums: of the data here: ``data`` and, where there are some, ``extra_data``.
        teachers: record by run of what lies here or is to be placed.
    """
    record = read_object(found.get(RECORD))
    if record is None:
        yield f"{RECORD} is missing or no JSON object: not a finished training"
        return
    if canonical(record.get("cell")) != canonical(planned):
        yield f"other parameters than params.yaml plans: {_changes(record.get('cell'), planned)}"
        return
    code = fingerprint("ews.train", ews.train.uses.uses(planned))
    if record.get("code") != code:
        yield f"trained by other code (fingerprint {record.get('code')}, here {code}); use the same revision on both"
    extra = any(component["name"] == "rst" for component in planned["method"]["components"])
    for key in ("data", *(["extra_data"] if extra else [])):
        if record.get(key) != checksums.get(key):
            here = checksums.get(key) or "nothing: make it first, `snakemake data/<dataset>/dataset.json`"
            yield f"{key} of checksum {record.get(key)}, here {here}"
    searching = any("search" in component for component in planned["method"]["components"])
    yield from _whole(found, record, needed=(*NEEDED, *(SEARCHING if searching else ())))
    for role, teacher in ews.train.uses.teachers(planned).items():
        taught = (teachers.get(teacher["run"]) or {}).get("files", {}).get(WEIGHTS[teacher["weights"]])
        if taught is None or (record.get("teachers") or {}).get(role) != taught:
            yield f"learned from another network as {role!r} than {teacher['run']} is here; bring that run along"


def evaluation(
    kind: str, found: Files, folder: str, planned: Mapping[str, Any], asked: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with an evaluation; nothing where it can be placed.

    Args:
        kind: of evaluation.
        found: the run's files.
        folder: of the evaluation within the run's, with a slash at its end, or "".
        planned: the cell.
        asked: the options that are planned, see :func:`ews.study.measuring.options`.
    """
    name = f"{folder}{EVALUATIONS[kind]}"
    result = read_object(found[name])
    if result is None:
        yield f"{name}: no JSON object"
        return
    if result.get("record") != files.sha256(found[RECORD]):
        yield f"{name}: measured another training than this {RECORD} describes"
    code = fingerprint("ews.evaluate", ews.evaluate.uses.uses(planned, kind, asked))
    if result.get("code") != code:
        yield f"{name}: measured by other code (fingerprint {result.get('code')}, here {code})"
    if canonical(result.get("options")) != canonical(asked):
        changed = differences(result.get("options") or {}, asked) or sorted(
            set(asked) - set(result.get("options") or {})
        )
        yield f"{name}: measured with other settings than are planned: {changed}"
    inside = {file.removeprefix(folder): path for file, path in found.items() if file.startswith(folder)}
    yield from (f"{folder}{text}" for text in _whole(inside, result, needed=(f"{kind}.npz",)))


def files_of(kind: str, found: Files, folder: str) -> list[str]:
    """Return the names of an evaluation's files, its JSON file last."""
    result = read_object(found[f"{folder}{EVALUATIONS[kind]}"]) or {}
    return [*(f"{folder}{name}" for name in result.get("files", {})), f"{folder}{EVALUATIONS[kind]}"]


def _whole(found: Files, record: Mapping[str, Any], *, needed: tuple[str, ...]) -> Iterator[str]:
    """Yield which files are not those that a record names, and which it should name and does not."""
    named = record.get("files")
    if not isinstance(named, dict):
        yield "names no files"
        return
    yield from (f"{name}: not among the files that are vouched for" for name in needed if name not in named)
    for name, checksum in named.items():
        if name not in found:
            yield f"{name}: missing"
        elif files.sha256(found[name]) != checksum:
            yield f"{name}: damaged, or of another run: its SHA-256 is not the recorded one"


def read_object(path: Path | None) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is no such file, or something else in it."""
    if path is None:
        return None
    try:
        found = files.read_json(path)
    except EwsError:
        return None
    return found if isinstance(found, dict) else None


def _changes(cell: Any, planned: Mapping[str, Any]) -> str:
    """Name the values of a cell that are not the planned ones."""
    try:
        changed = differences(flatten(cell), flatten(planned))
    except (KeyError, TypeError, AttributeError, ValueError):
        return "not a cell of this version"
    return ", ".join(f"{key}={value}" for key, value in changed.items()) or "its keys"
