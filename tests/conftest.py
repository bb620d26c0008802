"""Fixtures that several folders of tests share."""

import os

# One thread in each process, those that tests start included: tests run side by side, one worker for each core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from helpers.photographs import dataset, photographs, reference

__all__ = ["dataset", "photographs", "reference"]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
