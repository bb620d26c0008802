"""AlexNet's numbers are of ImageNet's own 1,000 classes: which classes those are."""

from pathlib import Path

import pytest

from ews.data.imagenet import are_imagenets

WNIDS = (Path(__file__).parents[1] / "helpers" / "imagenet_wnids.txt").read_text(encoding="utf-8").split()


def test_the_thousand_in_any_order() -> None:
    assert len(set(WNIDS)) == 1000 and all(len(name) == 9 and name.startswith("n") for name in WNIDS)
    assert are_imagenets(WNIDS)
    assert are_imagenets(tuple(reversed(WNIDS)))


@pytest.mark.parametrize(
    "classes",
    [
        [],
        WNIDS[:100],
        WNIDS[:-1],
        [*WNIDS, "n99999999"],
        [*WNIDS[:-1], "n99999999"],
        [*WNIDS, WNIDS[0]],
        [f"class {number}" for number in range(1000)],
        ["ant", "bee", "cat", "dog", "eel", "fox"],
    ],
    ids=lambda classes: f"{len(classes)} {classes[0] if classes else ''}",
)
def test_no_others(classes: list[str]) -> None:
    assert not are_imagenets(classes)
