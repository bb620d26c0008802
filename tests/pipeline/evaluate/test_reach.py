"""Adversarial images are held to the ball and to [0, 1] when they are read again."""

from pathlib import Path

import pytest
import torch

from ews.core.errors import EwsError
from ews.pipeline.evaluate.reach import Reach

CLEAN = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2)


def seen(*changes: float) -> Reach:
    reach = Reach()
    for change in changes:
        reach.see(CLEAN + torch.tensor([0.0, change, 0.0, 0.0]).reshape(1, 1, 2, 2), CLEAN)
    return reach


def test_the_largest_change_of_all_counts() -> None:
    reach = seen(0.125, -0.0625)
    assert (reach.distance, reach.lowest, reach.highest) == (0.125, 0.0, 1.0)
    reach.check_distance(0.125, where=Path("work"))
    with pytest.raises(EwsError, match=r"up to 0\.12500000 away .* allowed are 0\.10000000"):
        reach.check_distance(0.1, where=Path("work"))


@pytest.mark.parametrize("pixel", [-0.01, 1.01, float("nan")])
@pytest.mark.parametrize("first", [True, False])
def test_pixels_that_are_none_are_refused_whenever_they_come(pixel: float, first: bool) -> None:
    bad = CLEAN.clone()
    bad[0, 0, 0, 1] = pixel
    reach = Reach()
    for images in (bad, CLEAN) if first else (CLEAN, bad):
        reach.see(images, CLEAN)
    with pytest.raises(EwsError, match="The attack is at fault"):
        reach.check_distance(1.0, where=Path("work"))
