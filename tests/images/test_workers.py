"""Work in order, in this process or in others, never far ahead of the result in use."""

import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.images import workers as workers_module
from ews.images.workers import AHEAD, run_all


def square(value: int) -> int:
    return value * value


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_work_is_bounded_ahead_of_the_result_in_use(workers: int) -> None:
    taken = 0

    def items():
        nonlocal taken
        for value in range(40):
            taken = value + 1
            yield value

    results = run_all(square, items(), workers=workers)
    for used, result in enumerate(results, start=1):
        assert result == (used - 1) ** 2
        assert taken <= used + (AHEAD * workers if workers > 1 else 0)
    assert taken == 40


@pytest.mark.parametrize("workers", [0, 1])
def test_none_and_one_are_this_process(workers: int) -> None:
    # A function of this place cannot be sent to another process.
    assert list(run_all(lambda value: (value, os.getpid()), range(3), workers=workers)) == [
        (value, os.getpid()) for value in range(3)
    ]


def crash(value: int) -> int:
    os._exit(1)


def test_a_worker_that_is_killed_ends_in_one_message() -> None:
    with pytest.raises(EwsError, match="a worker process ended"):
        list(run_all(crash, range(4), workers=2))


def hang(value: int) -> int:
    if value == 2:
        time.sleep(600)
    return value


def test_a_worker_that_hangs_ends_in_one_message() -> None:
    before = set(multiprocessing.active_children())
    results = run_all(hang, range(8), workers=2, patience=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(EwsError, match="it hangs"):
        next(results)
    assert set(multiprocessing.active_children()) <= before


def test_with_no_room_for_workers_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "fitting_workers", lambda _: 0)
    # A function of this place cannot be sent to another process.
    assert list(run_all(lambda value: (value, os.getpid()), range(3), workers=4)) == [
        (value, os.getpid()) for value in range(3)
    ]


STREAM = """
import sys
from pathlib import Path
import numpy as np
from ews.corruptions.corrupted_batches import batches

if __name__ == "__main__":
    count = 0
    options = {"batch": 250, "seed": 0, "profile": "imagenet", "workers": 2}
    for batch in batches(Path(sys.argv[1]), blocks=[("frost", 1)], indices=np.arange(8000), **options):
        count += batch.nbytes
    print(count)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_stream_of_more_than_a_gigabyte_is_held_in_less(tmp_path: Path) -> None:
    """8,000 images of 224 x 224, from disk and corrupted: 1.2 GB each; all processes together hold half of one."""
    # A file with holes: room for the images, none of them written.
    np.lib.format.open_memmap(tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(8000, 224, 224, 3))
    (tmp_path / "stream.py").write_text(STREAM)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "stream.py", tmp_path / "images.npy"], stdout=subprocess.PIPE, text=True
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for pid in (process.pid, *map(int, children)):
                status = Path(f"/proc/{pid}/status").read_text().splitlines()
                seen = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
                peaks[pid] = max([peaks.get(pid, 0), *seen])
        time.sleep(0.05)
    assert process.returncode == 0
    assert int(process.communicate()[0]) > 2**30
    assert len(peaks) >= 3
    assert 0 < sum(peaks.values()) < 2**20, peaks  # KiB; pages that the processes share count in each
