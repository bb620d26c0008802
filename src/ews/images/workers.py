"""Running pieces of work in order, here or in worker processes, a bounded number of them ahead."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from threading import Thread
from typing import TypeVar

import cv2

from ews.core.errors import EwsError
from ews.core.worker_room import fitting_workers, kill_children, worker_fault

Item = TypeVar("Item")
Result = TypeVar("Result")

# Pieces per worker that are begun before the oldest result is taken: enough to keep all busy, few enough to hold.
AHEAD = 2


PATIENCE = 6 * 3600.0
"""Seconds in which the oldest piece of work has to be done: large photographs take minutes [choice]."""


def run_all(
    task: Callable[[Item], Result], items: Iterable[Item], *, workers: int, patience: float = PATIENCE
) -> Generator[Result]:
    """Run a task for every item and yield the results in the items' order.

    Args:
        task: picklable where there are workers.
        items: taken as they are needed: at most ``AHEAD * workers`` results are ahead of the one that is yielded.
        workers: 0 and 1 run everything in this process, more in as many processes, which end with this one; in fewer
            where the machine has no room for so many.
        patience: seconds in which the oldest piece of work has to be done.

    Raises:
        EwsError: ``workers`` is negative, or a worker was killed, hangs or cannot be started.
    """
    check_workers(workers)
    workers = fitting_workers(workers) if workers > 1 else workers
    if workers <= 1:
        for item in items:
            yield task(item)
        return
    remaining = iter(items)
    with _pool(workers) as pool:
        pending: deque[Future[Result]] = deque(pool.submit(task, item) for item in islice(remaining, AHEAD * workers))
        while pending:
            result = pending.popleft().result(patience)
            pending.extend(pool.submit(task, item) for item in islice(remaining, 1))
            yield result


def check_workers(workers: int) -> None:
    """Refuse a negative number of workers.

    Raises:
        EwsError: it is.
    """
    if workers < 0:
        raise EwsError(f"{workers} workers: valid is 0 (no process beside this one) or more.")


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose pending work is dropped when the block ends early."""
    # Fresh processes: a fork would copy the threads' locks of OpenCV and BLAS in whatever state they are.
    context = multiprocessing.get_context("spawn")
    before = multiprocessing.active_children()
    pool = None
    try:
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
        yield pool
    except (BrokenProcessPool, OSError) as problem:
        fault = worker_fault(problem)
        if fault is None:
            raise
        kill_children(but=before)
        raise fault from None
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Prepare a worker: one thread for OpenCV, since the workers share the cores, and an end with the parent alone."""
    cv2.setNumThreads(1)
    # From the keyboard it goes to all processes; the one that these work for ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone, killed perhaps: it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
