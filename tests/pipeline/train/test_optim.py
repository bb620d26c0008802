"""Schedules in closed form, and SGD against its definition."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from ews.pipeline.study.recipe_spec import Recipe
from ews.pipeline.train.optim import learning_rate, optimiser, step

DEFAULTS = {
    **{"epochs": 1, "batch_size": 8, "train_images": None, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
    **{"schedule": "cosine", "milestones": (), "gamma": 0.1, "warmup_epochs": 0, "gradient_clip": None},
    **{"label_smoothing": 0.0, "precision": "auto"},
}


def rates(epochs: int, **recipe: Any) -> list[float]:
    made = make({"learning_rate": 0.1, "epochs": epochs, **recipe})
    return [learning_rate(made, epoch) for epoch in range(epochs)]


def make(values: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({**DEFAULTS, **values})


@pytest.mark.parametrize(
    ("epochs", "milestones", "changes"),
    [
        (400, [1 / 3, 2 / 3], [133, 267]),
        (400, [0.3333333333, 0.6666666667], [133, 267]),
        (200, [0.5, 0.75], [100, 150]),
        (100, [0.29, 0.57], [29, 57]),  # 0.29 * 100 is below 29 in floating point
        (10, [0.25], [3]),
    ],
)
def test_steps_fall_on_the_nearest_epoch(epochs: int, milestones: list[float], changes: list[int]) -> None:
    found = rates(epochs, schedule="step", milestones=milestones)
    assert [epoch for epoch in range(1, epochs) if found[epoch] != found[epoch - 1]] == changes
    expected = [0.1 * 0.1**passed for passed in range(len(changes) + 1)]
    assert sorted(set(found), reverse=True) == pytest.approx(expected)


def test_cosine() -> None:
    found = rates(8, schedule="cosine")
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * epoch / 8)) for epoch in range(8)])
    assert found[0] == 0.1 and 0 < found[-1] < 0.01
    # Symmetric about the middle: rates at x and 1 - x add up to the base.
    assert found[2] + found[6] == pytest.approx(0.1)


def test_linear_is_damp_s_recipe() -> None:
    """0.1 to half of 300 epochs, linearly to 0.001 at 90 %, then flat: a line through (150, 0.1) and (270, 0.001)."""
    found = rates(300, schedule="linear", milestones=[0.5, 0.9], gamma=0.01)
    assert found[:151] == [0.1] * 151
    assert found[150:271] == pytest.approx([0.1 - 0.099 * place / 120 for place in range(121)], rel=1e-9)
    assert found[270:] == pytest.approx([0.001] * 30, rel=1e-12)
    # Half-way down it is the mean of both ends.
    assert found[210] == pytest.approx((0.1 + 0.001) / 2)


def test_linear_with_milestones_between_epochs() -> None:
    """The share of all epochs counts as it is, not rounded: 7 epochs, from 0.3 to 0.8."""
    found = rates(7, schedule="linear", milestones=[0.3, 0.8], gamma=0.2, learning_rate=1.0)
    falls = [1 - 0.8 * (epoch / 7 - 0.3) / 0.5 for epoch in (3, 4, 5)]
    assert found == pytest.approx([1.0, 1.0, 1.0, *falls, 0.2])
    assert rates(4, schedule="linear", milestones=[0.5, 1.0], gamma=1.0) == [0.1] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"milestones": [0.5]}, r"needs two different milestones.*not \[0\.5\]"),
        ({"milestones": [0.2, 0.5, 0.9]}, "needs two different milestones"),
        ({"milestones": [0.5, 0.5]}, "needs two different milestones"),
        ({"milestones": [0.9, 0.5]}, "must ascend"),
        ({"warmup_epochs": 6}, r"warmup_epochs = 6: .*after 0\.5 of 10 epochs; valid: 0 to 5"),
    ],
)
def test_a_linear_schedule_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rates(10, **{"schedule": "linear", "milestones": [0.5, 0.9], "warmup_epochs": 5, **changes})


@pytest.mark.parametrize(("schedule", "milestones"), [("step", [0.5]), ("cosine", [0.5]), ("linear", [0.5, 0.9])])
def test_warm_up_rises_linearly_to_the_base_rate(schedule: str, milestones: list[float]) -> None:
    found = rates(20, schedule=schedule, warmup_epochs=4, milestones=milestones)
    assert found[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert max(found) == found[4]


def test_a_warm_up_as_long_as_the_training() -> None:
    assert rates(2, schedule="cosine", warmup_epochs=2) == pytest.approx([0.1 / 3, 0.2 / 3])


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_its_definition(nesterov: bool) -> None:
    """v <- m v + g + d w; w <- w - r (g + d w + m v) with Nesterov, w - r v without."""
    weight = nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64))
    recipe = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.01}
    optimizer = optimiser([weight], make(recipe))
    w, v = [3.0, -2.0], [0.0, 0.0]
    for _ in range(5):
        (weight**2).sum().backward()
        step(optimizer, clip=None)
        assert weight.grad is None
        for i in range(2):
            gradient = 2 * w[i] + 0.01 * w[i]
            v[i] = 0.9 * v[i] + gradient
            w[i] -= 0.1 * (gradient + 0.9 * v[i] if nesterov else v[i])
    assert weight.tolist() == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize(("clip", "factor"), [(2.5, 0.5), (10.0, 1.0), (None, 1.0)])
def test_clipping_scales_the_whole_gradient(clip: float | None, factor: float) -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    recipe = {"learning_rate": 1.0, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    optimizer = optimiser([one, other], make(recipe))
    (3 * one + 4 * other).sum().backward()
    step(optimizer, clip=clip)
    assert [one.item(), other.item()] == pytest.approx([-3 * factor, -4 * factor], rel=1e-5)
