"""Fixtures that several folders of tests share."""

import pytest
import torch
from helpers.photographs import dataset, photographs, reference

__all__ = ["dataset", "photographs", "reference"]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
