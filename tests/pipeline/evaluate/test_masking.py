"""Signs of masked gradients: each shows where it should, and nowhere else."""

import re

import numpy as np
import pytest

from ews.pipeline.evaluate.adversarial.adversarial_spec import Radius
from ews.pipeline.evaluate.adversarial.masking import radii, signs

COUNT = 1000


def flags(robust: int) -> np.ndarray:
    return np.arange(COUNT) < robust


HONEST = {
    "messages": [],
    "robust": {
        "clean": flags(900),
        "apgd-ce": flags(500),
        "apgd-t": flags(480),
        "fab-t": flags(480),
        "square": flags(479),
    },
    "pgd": flags(520),
    "sweep": [Radius(epsilon=8 / 255, error=50.0), Radius(epsilon=128 / 255, error=99.5)],
    "unstable": 0,
}


def test_an_honest_network_shows_none():
    assert signs(**HONEST) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"robust": HONEST["robust"] | {"square": flags(400)}}, r"Square.*adds 8\.00 percentage points"),
        ({"pgd": flags(400)}, r"PGD alone finds 7\.90 %"),
        ({"sweep": [Radius(epsilon=128 / 255, error=80.0)]}, r"PGD within 0\.50.* leaves 20\.0 % correct"),
        ({"messages": ["points with zero gradient!"] * 3}, r"AutoAttack warns \(3 times\): points with zero gradient!"),
        ({"unstable": 2}, "2 adversarial images are classified otherwise"),
    ],
)
def test_each_sign_is_a_sentence_of_its_own(change, expected):
    (found,) = signs(**HONEST | change)
    assert re.search(expected, found)


def test_radii_double_until_every_image_can_be_grey():
    assert radii(0.03125) == [0.03125, 0.0625, 0.125, 0.25, 0.5]
    assert radii(0.3) == [0.3, 0.6]
    assert radii(0.9) == [0.9]
    assert radii(1.0) == [1.0]
    assert radii(0.0) == []
