"""The shipped params.yaml as content to change and validate."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.pipeline.study.params import validate
from ews.pipeline.study.schema import Params

SHIPPED = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def raw() -> dict[str, Any]:
    """A fresh copy of the shipped params.yaml."""
    return copy.deepcopy(SHIPPED)


@pytest.fixture
def params(raw: dict[str, Any]) -> Params:
    """The shipped params.yaml, validated."""
    return validate(raw)


@pytest.fixture
def with_study(raw: dict[str, Any]) -> Callable[..., Params]:
    """Return a function that adds a study called `mine` with the given keys."""

    def add(**keys: Any) -> Params:
        raw["studies"]["mine"] = keys
        return validate(raw)

    return add
