"""Do tasks, several at once, each a process of its own and after those that it builds upon; none that is done again."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ews.pipeline.remote.tasks import Task

EWS = (sys.executable, "-m", "ews")
PAUSE = 0.2  # seconds between looks at the running processes
PATIENCE = 10.0  # seconds that a process has to end when asked to


@dataclass
class Outcome:
    """Names of tasks by what became of them."""

    there: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def work(
    tasks: Sequence[Task],
    *,
    places: Mapping[str, str],
    runs: Path,
    logs: Path,
    jobs: int,
    seconds: float | None = None,
    say: Callable[[str], None] = print,
    program: Sequence[str] = EWS,
) -> Outcome:
    """Do the tasks.

    Args:
        tasks: of :func:`ews.pipeline.remote.remote_tasks.tasks`; each after those that it builds upon. Of a task that
            is named as coming before another and is not among these, what it makes has to be there.
        places: what stands for ``{data}``, ``{runs}``, ``{threads}`` and ``{workers}`` in commands.
        runs: folder of the runs, in which tasks' files are looked for.
        logs: folder for one file of output a task.
        jobs: processes at a time, at least 1.
        seconds: after which nothing new begins and what runs is asked to end; a training run resumes from its last
            epoch the next time. None: no such limit.
        say: is told of each task that began or ended.
        program: what a task's command are the words of.
    """
    began = time.monotonic()
    outcome = Outcome()
    waiting = {}
    for task in tasks:
        if all((runs / name).is_file() for name in task.makes):
            outcome.there.append(task.name)
        else:
            waiting[task.name] = task
    logs.mkdir(parents=True, exist_ok=True)
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}

    def over() -> bool:
        return seconds is not None and time.monotonic() - began >= seconds

    try:
        while running or waiting:
            while lost := [n for n, task in waiting.items() if {*outcome.failed, *outcome.blocked} & set(task.after)]:
                outcome.blocked += lost
                waiting = {name: task for name, task in waiting.items() if name not in lost}
            undone = waiting.keys() | running.keys()
            ready = [name for name, task in waiting.items() if not undone & set(task.after)]
            if over() or (waiting and not ready and not running):
                break
            for name in ready[: jobs - len(running)]:
                running[name] = _begin(waiting.pop(name), program, places, logs), time.monotonic()
                say(f"begun: {name}")
            time.sleep(PAUSE if running else 0)
            for name in [name for name, (process, _) in running.items() if process.poll() is not None]:
                process, since = running.pop(name)
                _ended(name, process.returncode, time.monotonic() - since, outcome, logs, say)
    finally:
        outcome.unfinished += [*running, *waiting]
        _stop([process for process, _ in running.values()])
    return outcome


def log_of(name: str, logs: Path) -> Path:
    """Return the file with a task's output."""
    return logs / (re.sub(r"[^\w.=+-]+", "_", name) + ".log")


def filled(task: Task, places: Mapping[str, str]) -> list[str]:
    """Return a task's command with its places filled in, see :func:`work`."""
    # A cell is JSON: its braces are not to be taken for places.
    fill = re.compile("|".join(re.escape(f"{{{place}}}") for place in places))
    return [fill.sub(lambda found: places[found[0][1:-1]], word) for word in task.command]


def _begin(task: Task, program: Sequence[str], places: Mapping[str, str], logs: Path) -> subprocess.Popen[bytes]:
    command = filled(task, places)
    with log_of(task.name, logs).open("ab") as log:
        return subprocess.Popen([*program, *command], stdout=log, stderr=subprocess.STDOUT)


def _ended(name: str, status: int, seconds: float, outcome: Outcome, logs: Path, say: Callable[[str], None]) -> None:
    if status == 0:
        outcome.done.append(name)
        say(f"done: {name}, {seconds:.0f} s")
        return
    outcome.failed.append(name)
    log = log_of(name, logs)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    say(f"failed: {name}: {lines[-1] if lines else f'exit status {status}'} ({log})")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
