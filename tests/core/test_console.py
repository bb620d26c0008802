"""How a command ends on a mistake, a fault of the machine or a signal: one message, the right status, no traceback."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ews.core.console import ENDS, finished, stoppable
from ews.core.errors import EwsError
from ews.core.faults import CURES


def end(problem: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said of a command that raises."""

    def main() -> None:
        raise problem

    with pytest.raises(SystemExit) as stop:
        finished(main)
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said.removeprefix("error: ").rstrip("\n")


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    def main() -> None:
        (tmp_path / "file" / "below").mkdir()

    with pytest.raises(SystemExit) as stop:
        finished(main)
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/file/below: Not a directory. Check the path.\n"


@pytest.mark.parametrize("number", [*CURES, errno.ENODEV, errno.EBUSY])
def test_any_fault_of_the_system_is_one_line_with_what_to_do(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    said = end(OSError(number, os.strerror(number), "results/table.csv"), capsys)
    assert said.startswith(f"results/table.csv: {os.strerror(number)}. ")
    assert len(said) > len(f"results/table.csv: {os.strerror(number)}. ") + 10
    assert os.strerror(number) in end(OSError(number, os.strerror(number)), capsys), "without a file, too"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (MemoryError(), "Memory is used up"),
        (MemoryError("Unable to allocate 80.0 GiB for an array with shape (1, 2)"), "80.0 GiB"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "Memory is used up"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation"), "2.00 GiB"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is\npossible"), "fewer --workers"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "fewer --workers"),
        (RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"), "fewer --workers"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
    ],
)
def test_memory_and_workers_are_one_line(problem: Exception, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in end(problem, capsys)


@pytest.mark.parametrize(
    "bug",
    [OSError("no file is to blame"), RuntimeError("shapes differ"), ValueError("x"), KeyError("uid"), RecursionError()],
)
def test_other_mistakes_keep_their_traceback(bug: Exception) -> None:
    def main() -> None:
        raise bug

    with pytest.raises(type(bug)):
        finished(main)


SAYS = """
import sys
from ews.core.console import finished
from ews.core.errors import EwsError

def main():
    kind = sys.argv[1]
    if kind == "lines":
        for number in range(100_000):
            print(number)
    if kind == "flushed":
        print("done", flush=True)
    if kind == "progress":
        print("epoch 1", file=sys.stderr, flush=True)
        print("made", file=open(sys.argv[2], "w"))
    if kind == "help":
        print("usage")
        raise SystemExit(0)
    if kind == "mistake":
        print("said before")
        raise EwsError("a mistake")

finished(main)
"""


def shell(line: str, tmp_path: Path) -> tuple[int, str]:
    """Run a line of bash, in which $0 is a command; return its exit status and what it said on standard error."""
    script = tmp_path / "says.py"
    script.write_text(SAYS)
    command = ["bash", "-c", f'run() {{ {sys.executable} {script} "$@"; }}; {line}']
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    return done.returncode, done.stderr


FULL = "error: standard output: cannot be written: No space left on device. The disk is full."
CLOSED = "error: standard output: cannot be written: Bad file descriptor. It is closed."


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("run lines | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 141, ""),
        ("run lines 2>&1 | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 141, ""),
        ("run lines >/dev/full", 1, FULL),
        ("run flushed >/dev/full", 1, FULL),
        ("run help >/dev/full", 1, FULL),
        ("run lines >&-", 1, CLOSED),
        ("run mistake >/dev/full", 1, "error: a mistake\n"),
        ("run mistake >&-", 1, "error: a mistake\n"),
        ("run mistake >/dev/null 2>/dev/full", 1, ""),
        ("run mistake >/dev/null 2>&-", 1, ""),
        ("run progress made 2>/dev/full", 1, ""),
        ("run progress made 2>&- && cat made >&2", 0, "made\n"),
        ("run flushed <&- >&- 2>&-", 1, ""),
        ("run lines >/dev/null", 0, ""),
        # At once, not when much has gathered.
        ("export PYTHONUNBUFFERED=1; run lines | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 141, ""),
        ("export PYTHONUNBUFFERED=1; run lines >/dev/full", 1, FULL),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path, line: str, status: int, said: str) -> None:
    line = line.replace("made", str(tmp_path / "made"))
    found, heard = shell(line, tmp_path)
    assert found == status
    assert heard.startswith(said) and heard.count("\n") == bool(said), heard


def test_a_mistake_is_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert end(EwsError("recipe: no such"), capsys) == "recipe: no such"


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Give every signal that ends a command a handler that marks a leak of the command's."""
    numbers = [getattr(signal, name) for name in ENDS]
    before = {number: signal.signal(number, left_over) for number in numbers}
    yield
    assert {signal.getsignal(number) for number in numbers} <= {left_over, signal.SIG_IGN}
    for number, handler in before.items():
        signal.signal(number, handler)


def left_over(number: int, frame: object) -> None:
    raise AssertionError(f"signal {number} was not taken")


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("name", ENDS)
def test_a_signal_ends_a_command_tidily(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tidied = []

    def main() -> None:
        try:
            os.kill(os.getpid(), getattr(signal, name))
        finally:
            # A second one, and a mistake that comes of the first, change nothing.
            os.kill(os.getpid(), signal.SIGINT)
            tidied.append(name)
            raise RuntimeError("a worker is gone")

    with pytest.raises(SystemExit) as stop:
        finished(main)
    assert stop.value.code == 128 + getattr(signal, name) and tidied == [name]
    assert capsys.readouterr().err == f"stopped by {name}. What is finished is kept; the same command resumes.\n"


@pytest.mark.usefixtures("own_handlers")
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    finished(lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 7), ("SIGHUP", 7)])
def test_a_forked_worker_leaves_signals_to_the_command(name: str, status: int) -> None:
    """But for the one by which it is ended."""
    with stoppable():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), getattr(signal, name))
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
