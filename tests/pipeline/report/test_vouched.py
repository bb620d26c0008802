"""Every file of a real study, with every kind of fault: what reads it refuses it, by its name and with what to do.

The files are those that the study's folders hold, not a list of names.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import real_study
from helpers.runs import reseal
from helpers.spoil import kinds, spoilt

from ews.core.errors import EwsError
from ews.data import dataset
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import read_arrays, read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS

pytestmark = pytest.mark.slow
CURE = re.compile(r"again|Build it|build the dataset|Make the numbers")
NO_NUMBER = {
    # Locks of folders, empty, and what reports write and nothing reads.
    *(".lock", "caption.txt", "table.csv", "table.md", "table.html", "table.tex"),
}
"""Files on which no number depends."""
NOT_FOR_REPORTS = {
    *(run_files.LAST, run_files.BEST, run_files.TIMING),
    *(run_files.arrays(kind) for kind, spec in EVALUATIONS.items() if spec.scoring().wrong is None),
}
"""Files that no table or figure reads; evaluations and adoption do, through the same readers."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    real_study.make(folder)
    return folder


@pytest.fixture(scope="module")
def numbered(study: Path) -> list[Path]:
    """One path for each name of a file of the study that a number depends on."""
    found = {path.name: path for path in sorted(study.rglob("*")) if path.is_file() and "data" not in path.parts}
    # Lists of finished work only let a repeated command find it; tests/core/test_finished.py has what vouches for them.
    found.pop("finished.json", None)
    return [path for name, path in found.items() if name not in NO_NUMBER]


def of_runs(paths: list[Path]) -> list[Path]:
    return [path for path in paths if "runs" in path.parts]


def read(path: Path) -> None:
    """Read a file of a run, by the reader that every command has for it."""
    run = FinishedRun.open(path.parent)
    if run.has(path.name):
        run.verified(path.name)
    elif path.name != run_files.RECORD:
        result = read_result(path.parent, EVALUATIONS[path.stem], run)
        if path.suffix == ".npz":
            read_arrays(path.parent, result)


def refused(path: Path, content: bytes, reader: Callable[[], object]) -> str | None:
    """Return how a file with that content is refused, None where it is not; then the old one is back."""
    whole = path.read_bytes()
    assert content != whole
    path.write_bytes(content)
    try:
        reader()
    except EwsError as error:
        return str(error)
    finally:
        path.write_bytes(whole)
    return None


def complaint(path: Path, what: str, message: str | None) -> Iterator[str]:
    """Yield what is wrong with a refusal."""
    if message is None:
        yield f"{path.name}: {what}: accepted"
    elif path.name not in message or not CURE.search(message):
        yield f"{path.name}: {what}: {message}"


def test_the_study_has_a_file_of_every_kind(numbered: list[Path]) -> None:
    names = {path.name for path in numbered}
    assert set(run_files.TRAINED) <= names
    assert {name for kind in EVALUATIONS for name in (run_files.result(kind), run_files.arrays(kind))} <= names
    assert {"study.json", "measurements.csv", "records.json", "images.csv", "SHA256SUMS"} <= names


def test_every_field_row_and_byte_of_a_run_is_vouched_for(numbered: list[Path]) -> None:
    wrong, count = [], 0
    for path in of_runs(numbered):
        read(path)
        for what, content in spoilt(path):
            count += 1
            wrong += complaint(path, what, refused(path, content, lambda path=path: read(path)))
    assert not wrong and count > 1000


def test_reports_refuse_each_kind_of_fault_of_a_run(study: Path, numbered: list[Path]) -> None:
    def report() -> None:
        for command in ("measure", "figures"):
            real_study.report(study, command)

    report()
    wrong, unread = [], set()
    for path in of_runs(numbered):
        # With one kind of fault each: the others end in the same refusal, as above.
        what, content = next(kinds(path))
        message = refused(path, content, report)
        if message is None:
            unread.add(path.name)
        else:
            wrong += complaint(path, what, message)
    assert not wrong
    assert unread == NOT_FOR_REPORTS


@pytest.mark.parametrize("command", ["table", "figures"])
def test_every_field_row_and_byte_of_the_numbers_is_vouched_for(
    study: Path, numbered: list[Path], command: str
) -> None:
    real_study.report(study, "measure")
    wrong, count = [], 0
    for path in numbered:
        if "runs" in path.parts:
            continue
        for what, content in kinds(path) if command == "figures" or path.suffix == ".json" else spoilt(path):
            count += 1
            wrong += complaint(path, what, refused(path, content, lambda: real_study.report(study, command)))
    assert not wrong and count > 10


def test_every_field_and_byte_of_a_dataset_is_vouched_for(study: Path) -> None:
    folder = study / "data" / "digits"
    for path in sorted(folder.iterdir()):
        for what, content in spoilt(path):
            message = refused(path, content, lambda: dataset.load(folder))
            assert not list(complaint(path, what, message))


@pytest.mark.parametrize(
    "values",
    [
        {"mean": [0.25, 0.25, 0.25]},
        {"std": [0.25, 0.25, 0.25]},
        {"classes": list("9876543210")},
    ],
    ids=lambda values: next(iter(values)),
)
def test_other_moments_or_classes_are_another_dataset(study: Path, values: dict[str, object]) -> None:
    """Also where they are sealed: a run that was trained with others is neither measured with it nor resumed."""
    about = study / "data" / "digits" / dataset.INFO
    run = FinishedRun.open(study / "results/runs/digits/tiny/standard/vanilla/seed0")
    whole = about.read_bytes()
    run.check_data(dataset.load(about.parent))
    try:
        reseal(about, lambda content: content.update(values))
        with pytest.raises(EwsError, match="was trained on data of checksum"):
            run.check_data(dataset.load(about.parent))
        about.write_bytes(whole)
        reseal(about, lambda content: content.update(name="renamed", source={}))
        run.check_data(dataset.load(about.parent))
    finally:
        about.write_bytes(whole)
