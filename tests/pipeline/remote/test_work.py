"""Tasks, several at once: their order, what fails and what that stops, time limits, and what is there already."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.remote.remote_command import work as main
from ews.pipeline.remote.remote_tasks import tasks as planned
from ews.pipeline.remote.tasks import LARGEST, Task, check_places, read
from ews.pipeline.remote.work import Outcome, log_of, work
from ews.pipeline.study.params import load

ROOT = Path(__file__).parents[3]
RUN = "digits/resnet8_thin/standard/vanilla/seed0"
Plan = dict[str, Any]

PYTHON = (sys.executable, "-m")
SLEEP = ["timeit", "-n1", "-r1", "__import__('time').sleep(60)"]


def task(name: str, *command: str, after: tuple[str, ...] = (), makes: str = "") -> Task:
    return Task(name=name, after=after, makes=(makes or f"{name}.json",), command=command)


def copies(name: str, source: str, *after: str) -> Task:
    """A task that writes one file from another: it fails if that is not there yet."""
    return task(name, "json.tool", f"{{runs}}/{source}.json", f"{{runs}}/{name}.json", after=after)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "first.json").write_text('{"threads": "{threads}"}')
    return folder


@pytest.fixture(scope="module")
def quickstart() -> Plan:
    """A real plan as its file has it; not to be changed."""
    params = load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml")
    content: Plan = json.loads(planned(params, "quickstart").model_dump_json())
    return content


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


def test_asked_to_end_it_ends_its_tasks(runs: Path, tmp_path: Path, quickstart: Plan) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(quickstart))
    # Data that keep a command waiting for good: nobody writes to the pipe that it reads.
    (tmp_path / "data/digits").mkdir(parents=True)
    os.mkfifo(tmp_path / "data/digits/dataset.json")
    places = ["--runs", str(runs), "--logs", str(runs), "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "ews", "remote", "work", str(plan), *places]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == f"begun: train {RUN}\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(children[0]), 0)


def without(plan: Plan) -> Plan:
    """Two runs, of code that there is none of, so that they fail at once, and no evaluation."""
    trainings = [{**training, "code": "0" * 16} for training in plan["trainings"][:2]]
    return {**plan, "trainings": trainings, "evaluations": []}


def refusals() -> Iterator[tuple[Callable[[Plan], object], str]]:
    """Changes of a plan, and what is said of each."""
    training, cell, evaluation = "trainings.0", "trainings.0.cell", "evaluations.0"
    changes: list[tuple[str, str, Any, str]] = [
        ("", "tasks", [{"command": ["timeit", "x"]}], "tasks: Extra inputs are not permitted"),
        (training, "command", ["timeit"], r"trainings\.0\.command: Extra inputs are not permitted"),
        (training, "run", "../../../x/seed0", r"trainings\.0\.run: String should match pattern"),
        (training, "run", "/a/b/c/d/seed0", r"trainings\.0\.run: String should match pattern"),
        (training, "run", "digits/../c/d/seed0", r"trainings\.0\.run: String should match pattern"),
        (training, "run", "digits/b/c/{data}/seed0", r"trainings\.0\.run: String should match pattern"),
        (training, "run", "digits/b/c/d/seed0\n", r"trainings\.0\.run: String should match pattern"),
        (training, "run", "cifar10/b/c/d/seed0", "is no run of the dataset 'digits'"),
        (training, "code", "--out", r"trainings\.0\.code: String should match pattern"),
        (cell, "dataset", "../digits", "is no run of the dataset '../digits'"),
        (cell, "seed", "0", r"trainings\.0\.cell\.seed: Input should be a valid integer"),
        (cell, "method", {"name": "x", "components": [{"name": "os", "parameters": {}}]}, "unknown method 'os'"),
        (cell, "teachers", {"robust": None}, r"trainings\.0\.cell\.teachers\.robust"),
        (evaluation, "evaluation", "../x", r"evaluations\.0\.evaluation: String should match pattern"),
        (evaluation, "asked", {"kind": "shell", "options": {}}, "unknown evaluation 'shell'"),
        (evaluation, "asked", {"kind": "clean", "options": {"out": "x"}}, r"options\.out: Extra inputs"),
        (evaluation, "run", "digits/b/c/d/seed0", "measures digits/b/c/d/seed0, which it does not train"),
        ("", "study", "../x", "study: String should match pattern"),
    ]
    for place, key, value, message in changes:

        def change(plan: Plan, place: str = place, key: str = key, value: Any = value) -> None:
            for step in filter(None, place.split(".")):
                plan = plan[int(step) if isinstance(plan, list) else step]
            plan[key] = value

        yield change, message
    yield lambda plan: plan["trainings"].append(plan["trainings"][0]), f"trains {RUN} twice"
    yield lambda plan: plan["evaluations"].append(plan["evaluations"][0]), "asks 2 times for clean "


@pytest.mark.parametrize(("change", "message"), list(refusals()))
def test_a_plan_trains_and_measures_and_nothing_else(
    change: Callable[[Plan], object], message: str, quickstart: Plan, runs: Path, tmp_path: Path
) -> None:
    plan = copy.deepcopy(quickstart)
    change(plan)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    for option in ([], ["--list"]):
        with pytest.raises(EwsError, match=message) as caught:
            main([str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(runs / "logs"), *option])
        assert "writes a plan" in str(caught.value)
    assert not (runs / "logs").exists()


def test_learning_from_what_is_not_trained_is_refused(quickstart: Plan, tmp_path: Path) -> None:
    plan = copy.deepcopy(quickstart)
    cell = plan["trainings"][1]["cell"]
    teacher = {"run": "../../x", "weights": "last", "architecture": cell["architecture"], "seed": 0}
    cell["teachers"] = {"robust": teacher | {"augmentation": "standard", "method": "at"}}
    for run, role, message in (
        ("../../x", "robust", r"learns from \.\./\.\./x \(robust\), which is not trained before"),
        (RUN, "--out", "'--out' is no name of a teacher's role"),
    ):
        cell["teachers"] = {role: {**next(iter(cell["teachers"].values())), "run": run}}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        with pytest.raises(EwsError, match=message):
            main([str(tmp_path / "plan.json"), "--list"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--match", "b"], r"no task has 'b'"),
        (["--jobs", "0"], "--jobs 0: must be a whole number of at least 1"),
        (["--workers", "-1"], "--workers -1: must be a whole number of at least 0"),
    ],
)
def test_options_that_are_wrong_are_told(
    options: list[str], message: str, quickstart: Plan, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(quickstart))
    with pytest.raises(EwsError, match=message):
        main([str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(runs), *options])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"plan\.json: .*\n`ews remote plan STUDY --out .*plan\.json` writes a plan"),
        ("{", "not valid JSON"),
        ('{"study": "a"}', "trainings: Field required"),
        ('{"study": "a", "trainings": [], "evaluations": []}', "no task has ''"),
        (" " * (LARGEST + 1), "67,108,865 bytes long, more than the plan of any study"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(EwsError, match=message):
        main([str(tmp_path / "plan.json")])


def test_a_link_that_leads_out_of_the_folder_of_runs_is_refused(quickstart: Plan, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(quickstart))
    (tmp_path / "elsewhere").mkdir()
    (runs / "digits").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EwsError, match=r"leads out of .* by way of a link"):
        main([str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(tmp_path / "logs")])
    assert not list((tmp_path / "elsewhere").iterdir())
    # The folder of runs itself may be a link.
    (runs / "digits").unlink()
    (tmp_path / "link").symlink_to(runs)
    check_places(read(tmp_path / "plan.json").tasks, tmp_path / "link")


def test_a_pattern_that_is_none_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["plan.json", "--match", "("])
    assert "'(' is no regular expression" in capsys.readouterr().err


def test_only_what_matches(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quickstart: Plan) -> None:
    plan = without(quickstart)
    one, two = (training["run"] for training in plan["trainings"])
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    words = [str(tmp_path / "plan.json"), "--runs", str(runs), "--logs", str(runs), "--match", f"^train {two}"]
    main([*words, "--list"])
    assert capsys.readouterr().out == f"train {two}\n"
    with pytest.raises(EwsError, match="1 failed"):
        main(words)
    assert log_of(f"train {two}", runs).is_file() and not log_of(f"train {one}", runs).exists()
    assert "the code changed after this job was planned" in capsys.readouterr().out
    # What it makes is there: nothing is left to do.
    (runs / two).mkdir(parents=True)
    (runs / two / "record.json").touch()
    main(words)
    assert capsys.readouterr().out.endswith("1 were done before, 0 are now.\n")
