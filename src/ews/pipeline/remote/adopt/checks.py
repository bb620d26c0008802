"""Whether a run is what would be made here: same parameters, same code, same data, and every file as it was written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ews.pipeline.evaluate.uses
import ews.pipeline.train.uses
from ews.core import files
from ews.core.errors import EwsError
from ews.core.fingerprint import fingerprint
from ews.pipeline.remote.adopt.bundle import Files
from ews.pipeline.study.measuring import FILES
from ews.pipeline.study.naming import canonical, differences, flatten

RECORD = "record.json"
NEEDED = ("model.safetensors", "epochs.csv")
SEARCHING = ("controller.csv", "kept.csv")
WEIGHTS = {"last": "model.safetensors", "best": "model-best.safetensors"}
# Kind of evaluation: the files that its JSON file vouches for.
EVALUATIONS = {kind: tuple(name for name in names if name != f"{kind}.json") for kind, names in FILES.items()}


def training(
    found: Files, planned: Mapping[str, Any], *, checksums: Mapping[str, str], teachers: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with a training; nothing where it can be placed.

    Args:
        found: the run's files.
        planned: the cell that params.yaml plans there.
        checksums: of the data here: ``data`` and, where there are some, ``extra_data``.
        teachers: record by run of what lies here or is to be placed.
    """
    record = read_record(found.get(RECORD))
    if record is None:
        yield f"{RECORD} is missing or not one: not a finished training"
        return
    if canonical(record.get("cell")) != canonical(planned):
        yield f"other parameters than params.yaml plans: {_changes(record.get('cell'), planned)}"
        return
    code = fingerprint("ews.pipeline.train", ews.pipeline.train.uses.uses(planned))
    if record.get("code") != code:
        yield f"trained by other code (fingerprint {record.get('code')}, here {code}); use the same revision on both"
    extra = any(component["name"] == "rst" for component in planned["method"]["components"])
    for key in ("data", *(["extra_data"] if extra else [])):
        if record.get(key) != checksums.get(key):
            file = f"{planned['dataset']}/dataset.json" if key == "data" else f"{planned['dataset']}-extra/extra.json"
            here = checksums.get(key) or f"nothing: make it first, `snakemake --cores 1 data/{file}`"
            yield f"{key} of checksum {record.get(key)}, here {here}"
    searching = any("search" in component for component in planned["method"]["components"])
    yield from _whole(found, record, needed=(*NEEDED, *(SEARCHING if searching else ())))
    reserved = {
        RECORD,
        *(f"{kind}.json" for kind in EVALUATIONS),
        *(file for own in EVALUATIONS.values() for file in own),
    }
    yield from (f"{name}: no file of a training" for name in record["files"] if name in reserved or "/" in name)
    for role, teacher in ews.pipeline.train.uses.teachers(planned).items():
        taught = (teachers.get(teacher["run"]) or {"files": {}})["files"].get(WEIGHTS[teacher["weights"]])
        if taught is None or record["teachers"].get(role) != taught:
            yield f"learned from another network as {role!r} than {teacher['run']} is here; bring that run along"


def evaluation(
    kind: str,
    found: Files,
    folder: str,
    planned: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    published: Mapping[str, str],
) -> Iterator[str]:
    """Yield what is wrong with an evaluation; nothing where it can be placed.

    Args:
        kind: of evaluation.
        found: the run's files.
        folder: of the evaluation within the run's, with a slash at its end, or "".
        planned: the cell.
        asked: the options that are planned, see :func:`ews.pipeline.study.measuring.options`.
        published: checksum by corruption of the published sets here, where these are measured.
    """
    name = f"{folder}{kind}.json"
    result = read_evaluation(found[name])
    if result is None:
        yield f"{name}: not the result of an evaluation of this version"
        return
    if result.get("record") != files.sha256(found[RECORD]):
        yield f"{name}: measured another training than this {RECORD} describes"
    code = fingerprint("ews.pipeline.evaluate", ews.pipeline.evaluate.uses.uses(planned, kind, asked))
    if result.get("code") != code:
        yield f"{name}: measured by other code (fingerprint {result.get('code')}, here {code})"
    if canonical(result["options"]) != canonical(asked):
        changed = differences(result["options"], asked) or sorted(set(asked) - set(result["options"]))
        yield f"{name}: measured with other settings than are planned: {changed}"
    for corruption, checksum in published.items():
        measured = _under(_under(result, "corruptions"), corruption).get("sha256")
        if measured != checksum:
            yield f"{name}: {corruption} of checksum {measured}, here {checksum}"
    inside = {file.removeprefix(folder): path for file, path in found.items() if file.startswith(folder)}
    yield from (f"{folder}{text}" for text in _whole(inside, result, needed=EVALUATIONS[kind]))
    yield from (f"{name}: vouches for {file!r}" for file in result["files"] if file not in EVALUATIONS[kind])


def files_of(kind: str, folder: str) -> list[str]:
    """Return the names of an evaluation's files, its JSON file last."""
    return [f"{folder}{name}" for name in (*EVALUATIONS[kind], f"{kind}.json")]


def read_record(path: Path | None) -> dict[str, Any] | None:
    """Return a training's record.json; None where there is none, or something else."""
    found = _object(path, "cell", "files")
    if found is None or not _texts(found["files"]) or not _texts(found.setdefault("teachers", {})):
        return None
    return found


def read_evaluation(path: Path | None) -> dict[str, Any] | None:
    """Return the JSON file of an evaluation; None where there is none, or something else."""
    found = _object(path, "options", "files")
    return found if found is not None and _texts(found["files"]) else None


def _whole(found: Files, record: Mapping[str, Any], *, needed: tuple[str, ...]) -> Iterator[str]:
    """Yield which files are not those that a record names, and which it should name and does not."""
    named = record["files"]
    yield from (f"{name}: not among the files that are vouched for" for name in needed if name not in named)
    for name, checksum in named.items():
        if name not in found:
            yield f"{name}: missing"
        elif files.sha256(found[name]) != checksum:
            yield f"{name}: damaged, or of another run: its SHA-256 is not the recorded one"


def _object(path: Path | None, *keys: str) -> dict[str, Any] | None:
    """Return the JSON object in a file, with objects under these keys; None where there is no such file."""
    if path is None:
        return None
    try:
        found = files.read_json(path)
    except EwsError:
        return None
    right = isinstance(found, dict) and all(isinstance(found.get(key), dict) for key in keys)
    return found if right else None


def _under(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under a key; an empty one where there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _changes(cell: Any, planned: Mapping[str, Any]) -> str:
    """Name the values of a cell that are not the planned ones."""
    try:
        changed = differences(flatten(cell), flatten(planned))
    except (KeyError, TypeError, AttributeError, ValueError):
        return "not a cell of this version"
    return ", ".join(f"{key}={value}" for key, value in changed.items()) or "its keys"
