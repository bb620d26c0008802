"""How a command ends on a mistake or a signal: one message, the right exit status, no traceback."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ews.core.console import ENDS, finished, stoppable


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    def main() -> None:
        (tmp_path / "file" / "below").mkdir()

    with pytest.raises(SystemExit) as stop:
        finished(main)
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/file/below: Not a directory\n"


def test_other_mistakes_keep_their_traceback() -> None:
    def main() -> None:
        raise OSError("no file is to blame")

    with pytest.raises(OSError, match="no file is to blame"):
        finished(main)


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
