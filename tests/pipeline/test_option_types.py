"""Options that several commands have are read by one rule each, with one message."""

import ast
from pathlib import Path

import pytest

from ews import cli
from ews.core.errors import EwsError
from ews.core.option_types import JOBS, THREADS, WORKERS, seconds, validation_share
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS

SOURCE = Path(__file__).parents[2] / "src"
TYPES = {
    "--workers": "WORKERS",
    "--threads": "THREADS",
    "--jobs": "JOBS",
    "--seconds": "seconds",
    "--validation": "validation_share",
}
EVALUATE = [f"evaluate {kind}" for kind in EVALUATIONS]
MAKING = ["train", "corrupt folder", "corrupt npy", "corrupt generate", "perturb generate", "remote work", *EVALUATE]
COMPUTING = ["train", "remote work", *EVALUATE]


@pytest.mark.parametrize("command", MAKING)
@pytest.mark.parametrize("text", ["-1", "1.5", "two", ""])
def test_a_number_of_processes_is_read_alike_by_every_command(command: str, text: str) -> None:
    message = rf"^--workers {text}: must be a whole number of at least 0 \(0: no process beside this one\)\.$"
    with pytest.raises(EwsError, match=message):
        cli.main([*command.split(), "--workers", text])


@pytest.mark.parametrize("command", COMPUTING)
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "all"])
def test_so_is_a_number_of_threads(command: str, text: str) -> None:
    with pytest.raises(EwsError, match=rf"^--threads {text}: must be a whole number of at least 1\.$"):
        cli.main([*command.split(), "--threads", text])


@pytest.mark.parametrize("command", MAKING)
def test_no_process_beside_this_one_is_valid_for_every_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missed is something else."""
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--workers", "0"])
    said = capsys.readouterr().err
    assert "are required" in said and "unrecognized" not in said


def test_every_command_that_has_one_of_them_reads_it_so() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            option = node.args[0].value
            if getattr(node.func, "attr", "") == "add_argument" and option in TYPES:
                read = {word.arg: word.value for word in node.keywords}.get("type")
                assert isinstance(read, ast.Name) and read.id == TYPES[option], f"{path}:{node.lineno}: {option}"
                found.append(option)
    assert set(found) == set(TYPES) and found.count("--workers") >= 5


def test_numbers_are_read() -> None:
    assert (WORKERS("0"), WORKERS("12"), THREADS("1"), JOBS("3")) == (0, 12, 1, 3)
    assert (seconds("0"), seconds("1.5"), validation_share("0"), validation_share("0.95")) == (0.0, 1.5, 0.0, 0.95)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon"])
def test_a_time_is_no_other_number(text: str) -> None:
    with pytest.raises(EwsError, match=f"--seconds {text}: must be a number of at least 0"):
        seconds(text)


@pytest.mark.parametrize("text", ["1", "-0.1", "nan", "half"])
def test_a_share_for_validation_is_below_one(text: str) -> None:
    with pytest.raises(EwsError, match=f"--validation {text}: must be a number of at least 0 and below 1"):
        validation_share(text)
