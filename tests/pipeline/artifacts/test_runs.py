"""A run's files: what vouches for what, and one message for each file that was changed."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers.runs import a_cell, finish, reseal, write_csv
from safetensors.torch import load_file

from ews.core.errors import EwsError
from ews.core.faults import TEMPORARY
from ews.core.staging import staging
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.run import FinishedRun, clear
from ews.pipeline.artifacts.tables import Row, read_rows
from ews.pipeline.artifacts.weights import checksum, save_weights

EPOCH = {
    **{"epoch": 1, "learning_rate": 0.1, "train_loss": 2.0, "train_error": 0.5, "validation_error": ""},
    **{"ews_loss": 0.25, "weights_sha256": "a" * 64},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with one epoch."""
    write_csv(tmp_path / run_files.EPOCHS, [EPOCH])
    save_weights(tmp_path / run_files.LAST, {"w": torch.arange(4.0)})
    finish(tmp_path, a_cell(), files=[run_files.EPOCHS, run_files.LAST])
    return tmp_path


def test_epochs_are_typed_and_a_method_s_own_numbers_stand_beside(run: Path) -> None:
    (epoch,) = FinishedRun.open(run).epochs()
    assert (epoch.epoch, epoch.train_error, epoch.validation_error) == (1, 0.5, None)
    assert (epoch.value("ews_loss"), epoch.value("train_loss"), epoch.value("none")) == (0.25, 2.0, None)


def test_a_log_that_the_record_does_not_name_has_no_rows(run: Path) -> None:
    (run / run_files.CONTROLLER).write_text("left over\n")
    assert FinishedRun.open(run).controller() == ()
    with pytest.raises(EwsError, match=r"record\.json: names no timing\.csv"):
        FinishedRun.open(run).timing()


@pytest.mark.parametrize("name", [run_files.EPOCHS, run_files.LAST])
def test_a_changed_byte_and_a_missing_file_are_named(run: Path, name: str) -> None:
    content = bytearray((run / name).read_bytes())
    content[-2] ^= 1
    (run / name).write_bytes(content)
    remedy = r"To train this run again, delete \S+record\.json"
    with pytest.raises(EwsError, match=rf"{name}: damaged, or of another run: .*{remedy}"):
        FinishedRun.open(run).verified(name)
    (run / name).unlink()
    with pytest.raises(EwsError, match=rf"{name}: missing, though record\.json names it"):
        FinishedRun.open(run).verified(name)


def test_a_record_of_another_content_names_the_key(run: Path) -> None:
    reseal(run / run_files.RECORD, lambda record: record["cell"]["recipe"].pop("epochs"))
    with pytest.raises(EwsError, match=r"record\.json: cell\.recipe\.epochs: Field required"):
        FinishedRun.open(run)


def test_clear_leaves_the_state_and_what_is_not_a_run_s(run: Path) -> None:
    for name in (run_files.STATE, "clean.json"):
        (run / name).write_text("")
    with staging(run) as room:
        shutil.copytree(room, run / f"{TEMPORARY}elsewhere-and-then")
        os.utime(run / f"{TEMPORARY}elsewhere-and-then", (0, 0))
    clear(run)
    assert sorted(path.name for path in run.iterdir()) == ["clean.json", run_files.STATE]


def test_the_checksum_of_weights_is_of_names_types_shapes_and_values(tmp_path: Path) -> None:
    weights = {"b": torch.rand(2, 3, 4, 4), "a": torch.tensor(3)}
    first = checksum(weights)
    save_weights(tmp_path / run_files.LAST, weights)
    assert checksum(load_file(tmp_path / run_files.LAST)) == first
    assert checksum({"a": weights["a"], "b": weights["b"].to(memory_format=torch.channels_last)}) == first
    for other in (
        {"b": weights["b"].reshape(3, 2, 4, 4)},
        {"b": weights["b"].double()},
        {"b": weights["b"] + 1e-7 * (weights["b"] == weights["b"].max())},
        {"c": weights["b"]},
    ):
        assert checksum({"a": weights["a"], **other}) != first


class Line(Row):
    """A row of a test."""

    name: str
    count: int | None = None


def test_rows_are_read_as_their_type_says(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("name,count\na,3\nb,\nc\x0bd,4\n")
    read = read_rows(path, Line, remedy="Again.")
    assert read == (Line(name="a", count=3), Line(name="b"), Line(name="c\x0bd", count=4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,count\na,1.5\n", r"row 2: count: .*valid integer.*, not '1\.5'\nAgain\."),
        ("name,count\na,1\nb\n", "row 3 does not have the header's number of fields"),
        ("name,colour\na,red\n", "unknown columns colour; valid: name, count"),
        ("count\n3\n", "row 2: name: Field required"),
        ("name,count,count\na,1,2\n", "a column stands twice in its header"),
        ('name,count\n"a"b,1\n', "not a table"),
    ],
)
def test_rows_of_something_else_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(EwsError, match=message):
        read_rows(path, Line, remedy="Again.")
