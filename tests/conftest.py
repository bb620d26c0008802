"""Fixtures that several folders of tests share."""

import os
import signal
from collections.abc import Iterator

# One thread in each process, those that tests start included: tests run side by side, one worker for each core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from helpers.photographs import dataset, photographs, reference

__all__ = ["dataset", "photographs", "reference"]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """SIGINT and SIGHUP end a process, also where these tests run in the background or under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
