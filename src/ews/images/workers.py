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

Item = TypeVar("Item")
Result = TypeVar("Result")

# Pieces per worker that are begun before the oldest result is taken: enough to keep all busy, few enough to hold.
AHEAD = 2


def run_all(task: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Generator[Result]:
    """Run a task for every item and yield the results in the items' order.

    Args:
        task: picklable where there are workers.
        items: taken as they are needed: at most ``AHEAD * workers`` results are ahead of the one that is yielded.
        workers: 0 and 1 run everything in this process, more in as many processes, which end with this one.

    Raises:
        EwsError: ``workers`` is negative, or a worker was killed.
    """
    check_workers(workers)
    if workers <= 1:
        for item in items:
            yield task(item)
        return
    remaining = iter(items)
    with _pool(workers) as pool:
        pending: deque[Future[Result]] = deque(pool.submit(task, item) for item in islice(remaining, AHEAD * workers))
        while pending:
            result = pending.popleft().result()
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
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        yield pool
    except BrokenProcessPool:
        raise EwsError(
            "a worker process ended before its work: killed, perhaps for memory. Run again, with fewer workers if it "
            "happens again; what was done is kept."
        ) from None
    finally:
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
