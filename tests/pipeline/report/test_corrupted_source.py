"""Captions say whose corrupted images were measured."""

from collections.abc import Callable
from typing import Any

import pytest

from ews.pipeline.report.captions import corrupted
from ews.pipeline.report.study_rows import load

Grow = Callable[..., Any]


@pytest.mark.parametrize(
    ("official", "expected"),
    [
        (lambda cell: False, "Corrupted images: made here by the published formulas and constants."),
        (lambda cell: True, "Corrupted images: the published files."),
        (
            lambda cell: cell["label"]["dataset"] == "cifar10",
            "Corrupted images: the published files (cifar10); "
            "made here by the published formulas and constants (digits).",
        ),
        (
            lambda cell: cell["label"]["method"] == "ews",
            "Corrupted images: the published files in rows with source=official, made here in the others.",
        ),
    ],
)
def test_the_caption_names_the_source(grow: Grow, official: Callable[[Any], bool], expected: str) -> None:
    tree = grow(datasets=("cifar10", "digits"), seeds=(0,), logs=False)
    for cell in tree.entries:
        if official(cell):
            cell["corrupted"]["source"] = "official"
    tree.rewrite()
    assert corrupted(load(tree.study)) == expected


def test_nothing_is_said_where_no_corruption_was_measured(grow: Grow) -> None:
    tree = grow(seeds=(0,), logs=False)
    tree.evaluations("clean")
    assert corrupted(load(tree.study)) == ""
