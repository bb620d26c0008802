"""Tasks, several at once: their order, what fails and what that stops, time limits, and what is there already."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ews.core.errors import EwsError
from ews.pipeline.remote.remote_command import work as main
from ews.pipeline.remote.tasks import Task
from ews.pipeline.remote.work import Outcome, log_of, work

PYTHON = (sys.executable, "-m")
TRAIN = ("--data", "none", "--out", "{runs}/a", "--threads", "1")
SLEEP = ["timeit", "-n1", "-r1", "__import__('time').sleep(60)"]


def task(name: str, *command: str, after: tuple[str, ...] = (), makes: str = "") -> Task:
    return Task(name=name, after=after, makes=(makes or f"{name}.json",), command=command)


def written(*tasks: Task) -> str:
    """The text of a plan with these tasks."""
    return json.dumps({"study": "made_up", "tasks": [task.model_dump() for task in tasks]})


def copies(name: str, source: str, *after: str) -> Task:
    """A task that writes one file from another: it fails if that is not there yet."""
    return task(name, "json.tool", f"{{runs}}/{source}.json", f"{{runs}}/{name}.json", after=after)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "first.json").write_text('{"threads": "{threads}"}')
    return folder


def do(tasks: list[Task], runs: Path, *, jobs: int = 2, seconds: float | None = None) -> tuple[Outcome, list]:
    said: list[str] = []
    outcome = work(
        tasks, places={"runs": str(runs)}, runs=runs, logs=runs / "logs", jobs=jobs, seconds=seconds, say=said.append,
        program=PYTHON,
    )  # fmt: skip
    return outcome, said


def test_each_after_what_it_builds_upon(runs: Path) -> None:
    tasks = [copies("c", "b", "b"), copies("b", "a", "a"), copies("a", "first"), copies("d", "first", "elsewhere")]
    outcome, said = do(tasks, runs)
    assert sorted(outcome.done) == ["a", "b", "c", "d"] and not outcome.failed
    order = [text for text in said if text.startswith("begun") and not text.endswith(" d")]
    assert order == ["begun: a", "begun: b", "begun: c"]
    assert json.loads((runs / "c.json").read_text()) == {"threads": "{threads}"}
    again, said = do(tasks, runs)
    assert sorted(again.there) == ["a", "b", "c", "d"] and not said


def test_what_fails_stops_what_builds_upon_it_and_nothing_else(runs: Path) -> None:
    tasks = [copies("a", "missing"), copies("b", "a", "a"), copies("c", "b", "b"), copies("d", "first")]
    outcome, said = do(tasks, runs, jobs=1)
    assert (outcome.failed, outcome.blocked, outcome.done) == (["a"], ["b", "c"], ["d"])
    (failed,) = [text for text in said if text.startswith("failed")]
    assert "missing.json" in failed and str(log_of("a", runs / "logs")) in failed


def test_as_many_at_once_as_asked_for(runs: Path) -> None:
    tasks = [task(str(number), "timeit", "-n1", "-r1", "__import__('time').sleep(0.5)") for number in range(4)]
    began = time.monotonic()
    _, said = do(tasks, runs, jobs=4)
    assert [text.split()[0] for text in said] == ["begun:"] * 4 + ["done:"] * 4
    assert time.monotonic() - began < 60
    _, said = do(tasks, runs, jobs=1)
    assert [text.split()[0] for text in said] == ["begun:", "done:"] * 4


def test_a_limit_of_time_ends_what_runs(runs: Path) -> None:
    began = time.monotonic()
    outcome, _ = do([task("long", *SLEEP), copies("next", "long", "long")], runs, seconds=1)
    assert time.monotonic() - began < 30
    assert outcome.unfinished == ["long", "next"] and not outcome.done
    outcome, said = do([copies("a", "first")], runs, seconds=0)
    assert outcome.unfinished == ["a"] and not said


def test_tasks_that_wait_for_each_other_end(runs: Path) -> None:
    outcome, _ = do([copies("a", "b", "b"), copies("b", "a", "a")], runs)
    assert sorted(outcome.unfinished) == ["a", "b"]


def test_asked_to_end_it_ends_its_tasks(runs: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    # A command that waits for good: nobody writes to the pipe that it reads.
    os.mkfifo(tmp_path / "pipe")
    plan.write_text(written(task("long", "train", "--cell", f"@{tmp_path / 'pipe'}", *TRAIN)))
    command = [sys.executable, "-m", "ews", "remote", "work", str(plan), "--runs", str(runs), "--logs", str(runs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begun: long\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(children[0]), 0)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("[]", [], r"plan\.json: .*\n`ews remote plan STUDY --out .*plan\.json` writes a plan"),
        ('{"study": "a", "tasks": [{"name": "a"}]}', [], r"tasks\.0\.command: Field required"),
        (written(task("a", "json.tool", "x")), [], r"a: a plan may only train and evaluate, not 'json\.tool'"),
        (written(task("a")), [], "a plan may only train and evaluate"),
        (written(task("a", "train")), ["--match", "b"], r"no task has 'b'"),
        (written(task("a", "train")), ["--jobs", "0"], "--jobs 0: must be a whole number of at least 1"),
        (written(task("a", "train")), ["--workers", "-1"], "--workers -1: must be a whole number of at least 0"),
        (written(), [], r"no task has ''"),
        (written(task("a", "train")), [], "1 failed"),
    ],
)
def test_what_is_wrong_is_said(content: str, options: list[str], message: str, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(EwsError, match=message):
        main([str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(runs), *options])


def test_a_pattern_that_is_none_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["plan.json", "--match", "("])
    assert "'(' is no regular expression" in capsys.readouterr().err


def test_only_what_matches(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.json").write_text(written(task("a", "train"), task("b", "train")))
    words = [str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(runs), "--match", "^b"]
    main([*words, "--list"])
    assert capsys.readouterr().out == "b\n"
    with pytest.raises(EwsError, match="1 failed"):
        main(words)
    assert log_of("b", runs).is_file() and not log_of("a", runs).exists()
    # What it makes is there: nothing is left to do.
    (runs / "b.json").touch()
    main(words)
    assert capsys.readouterr().out.endswith("1 were done before, 0 are now.\n")
