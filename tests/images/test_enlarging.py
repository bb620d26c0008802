"""A part of an enlarged picture is that of the whole enlarged picture, bit by bit."""

import cv2
import numpy as np
import pytest

from ews.images import enlarging
from ews.images.enlarging import enlarged_part, enlarged_size

PLACES = ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.37, 0.81))


@pytest.mark.parametrize("factor", [1.0001, 1.3, 2.0, 2.5, 5.079267770607661, 11.7, 64 / 3])
@pytest.mark.parametrize("size", [(17, 33), (120, 97), (31, 1)])
@pytest.mark.parametrize("band", [1, 2**18])
def test_a_part_is_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, factor: float, size: tuple[int, int], band: int
) -> None:
    monkeypatch.setattr(enlarging, "BAND", band)
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = cv2.resize(picture, (0, 0), fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    assert enlarged_size(picture, factor) == whole.shape[:2]
    height, width = max(1, whole.shape[0] // 2), max(1, whole.shape[1] // 3)
    for down, right in PLACES:
        top, left = int(down * (whole.shape[0] - height)), int(right * (whole.shape[1] - width))
        part = enlarged_part(picture, factor, top=top, left=left, height=height, width=width)
        np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])
