"""What worker processes need of the machine: how many fit into its shared memory, and an end for those that hang."""

import multiprocessing
import os
import sys
from collections.abc import Iterable
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path

from ews.core.errors import EwsError
from ews.core.faults import sentence

SHARED = Path("/dev/shm")
# Measured for a DataLoader: 8 + 3 a worker, of semaphores; a pool of processes takes 13, however many.
PAGES, PAGES_EACH = 13, 3


def fitting_workers(workers: int, *, shared: Path = SHARED) -> int:
    """Return how many worker processes can be started: as many as asked for, or fewer, which a line on stderr says.

    Data travel through pipes. What they need of shared memory are semaphores: 12 kB a worker, and 52 kB for all.

    Args:
        workers: asked for, 0 or more.
        shared: the folder of Linux's shared memory; other systems' semaphores need none.
    """
    if workers == 0 or not sys.platform.startswith("linux"):
        return workers
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        state = os.statvfs(shared)
        writable = os.access(shared, os.W_OK) and not state.f_flag & os.ST_RDONLY
        pages = state.f_bavail * state.f_frsize // page if writable else 0
    except OSError:
        pages = 0
    fit = min(workers, max(0, (pages - PAGES) // PAGES_EACH))
    if fit < workers:
        say_once(
            f"warning: {shared} has room for {fit} of {workers} worker processes ({pages * page // 1024} kB are free); "
            f"the work goes on {f'with {fit}' if fit else 'in this process'}, slower, with the same result. Give the "
            "machine more shared memory, in Docker by --shm-size=1g."
        )
    return fit


def worker_fault(problem: OSError | RuntimeError) -> EwsError | None:
    """Return what to tell of worker processes that died, hang or cannot be started; None for a bug."""
    if isinstance(problem, TimeoutError):
        return EwsError("a worker process has not answered for hours: it hangs. Run again, with fewer --workers.")
    text = sentence(problem)
    return None if text is None else EwsError(text)


def kill_children(*, but: Iterable[BaseProcess]) -> None:
    """Kill the processes that this one started by multiprocessing, but for some.

    One that hangs does not end when it is asked to, and the interpreter waits for it at its end.
    """
    for child in set(multiprocessing.active_children()) - set(but):
        child.kill()


@cache
def say_once(text: str) -> None:
    """Say a line once in the life of this process."""
    print(text, file=sys.stderr, flush=True)
