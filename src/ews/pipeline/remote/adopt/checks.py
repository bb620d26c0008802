"""Whether a run is what would be made here: same parameters, same code, same data, and every file as it was written."""

from collections.abc import Iterable, Iterator, Mapping

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.methods.registry import METHODS
from ews.pipeline.artifacts import names
from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate import uses as measured_by
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionFindings
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.evaluate.spec import Options
from ews.pipeline.remote.adopt.bundle import Files
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.naming import differences, spell
from ews.pipeline.train import uses as trained_by


def training(
    run: FinishedRun,
    found: Files,
    planned: Cell,
    *,
    checksums: Mapping[str, str],
    teachers: Mapping[str, FinishedRun | None],
) -> Iterator[str]:
    """Yield what is wrong with a training; nothing where it can be placed.

    Args:
        run: the run.
        found: its files, by name.
        planned: the cell that params.yaml plans there.
        checksums: of the data here: ``data`` and, where there are some, ``extra_data``.
        teachers: by run what lies here or is to be placed; None: nothing.
    """
    record = run.record
    if record.cell != planned:
        changed = differences(flatten(record.cell), flatten(planned))
        texts = [f"{key}={spell(value)}" for key, value in changed.items()]
        yield f"other parameters than params.yaml plans: {', '.join(texts) or 'its names'}"
        return
    if record.code != (code := trained_by.code(planned)):
        yield f"trained by other code (fingerprint {record.code}, here {code}); use the same revision on both"
    specs = [METHODS[name] for name in planned.method.names]
    wanted = {"data": (record.data, f"{planned.dataset}/dataset.json")}
    if any(spec.extra_data for spec in specs):
        wanted["extra_data"] = (record.extra_data or "none", f"{planned.dataset}-extra/extra.json")
    for key, (checksum, file) in wanted.items():
        if checksum != checksums.get(key):
            here = checksums.get(key) or f"nothing: make it first, `snakemake --cores 1 data/{file}`"
            yield f"{key} of checksum {checksum}, here {here}"
    logs = [log for spec in specs for log in spec.logs]
    yield from _whole(found, record.files, needed=(names.LAST, names.EPOCHS, *logs))
    yield from (f"{name}: no file of a training" for name in record.files if name not in names.TRAINED[:-1])
    for role, teacher in planned.teachers.items():
        other = teachers.get(teacher.run)
        taught = other and other.record.files.get(names.WEIGHTS[teacher.weights])
        if taught is None or record.teachers.get(role) != taught:
            yield f"learned from another network as {role!r} than {teacher.run} is here; bring that run along"


def evaluation(
    kind: str,
    run: FinishedRun,
    found: Files,
    folder: str,
    asked: Options,
    *,
    published: Mapping[str, str],
) -> Iterator[str]:
    """Yield what is wrong with an evaluation; nothing where it can be placed.

    Args:
        kind: of evaluation.
        run: whose weights should have been measured.
        found: the run's files, by name.
        folder: of the evaluation within the run's, with a slash at its end, or "".
        asked: the options that are planned.
        published: checksum by corruption of the published sets here, where these are measured.
    """
    name = f"{folder}{names.result(kind)}"
    try:
        result = read_result(run.folder / folder, EVALUATIONS[kind], run)
    except EwsError as problem:
        yield str(problem).replace(f"{run.folder}/", "")
        return
    code = measured_by.code(run.record.cell, kind, asked)
    if result.code != code:
        yield f"{name}: measured by other code (fingerprint {result.code}, here {code})"
    if result.options != asked:
        changed = differences(result.options.model_dump(mode="json"), asked.model_dump(mode="json"))
        yield f"{name}: measured with other settings than are planned: {changed}"
    if isinstance(result.result, CorruptionFindings):
        for corruption, checksum in published.items():
            images = result.result.corruptions.get(corruption)
            measured = images.sha256 if images else None
            if measured != checksum:
                yield f"{name}: {corruption} of checksum {measured}, here {checksum}"
    inside = {file.removeprefix(folder): path for file, path in found.items() if file.startswith(folder)}
    needed = (names.arrays(kind),)
    yield from (f"{folder}{text}" for text in _whole(inside, result.files, needed=needed))
    yield from (f"{name}: vouches for {file!r}" for file in result.files if file not in needed)


def files_of(kind: str, folder: str) -> list[str]:
    """Return the names of an evaluation's files, the one that vouches last."""
    return [f"{folder}{names.arrays(kind)}", f"{folder}{names.result(kind)}"]


def _whole(found: Files, named: Mapping[str, str], *, needed: Iterable[str]) -> Iterator[str]:
    """Yield which files are not those that a record names, and which it should name and does not."""
    yield from (f"{name}: not among the files that are vouched for" for name in needed if name not in named)
    for name, checksum in named.items():
        if name not in found:
            yield f"{name}: missing"
        elif sha256(found[name]) != checksum:
            yield f"{name}: damaged, or of another run: its SHA-256 is not the recorded one"
