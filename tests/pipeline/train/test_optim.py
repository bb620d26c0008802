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


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_warm_up_rises_linearly_to_the_base_rate(schedule: str) -> None:
    found = rates(20, schedule=schedule, warmup_epochs=4, milestones=[0.5])
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
