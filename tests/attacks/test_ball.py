"""Attacks in the Euclidean norm against closed forms in float64: steps, projections, starts and the worst case."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ews.attacks.ball import ball, distances, uniform_start
from ews.attacks.norms import NORMS
from ews.attacks.pgd import pgd
from ews.attacks.restarts import worst_of_restarts
from ews.core.seeds import torch_stream
from ews.models.inputs import WrongInput

SHAPE = (3, 6, 6)
PIXELS = 108


def images(low: float = 0.0, high: float = 1.0, count: int = 6) -> Tensor:
    drawn = torch.rand(count, *SHAPE, generator=torch_stream("images"), dtype=torch.float64)
    return (low + (high - low) * drawn).clamp(0, 1)


def linear() -> nn.Sequential:
    model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 2)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=torch_stream("linear"))
    return model


LABELS = torch.tensor([0, 1, 1, 0, 1, 0])
L2: dict[str, Any] = {"norm": "L2", "loss": "cross_entropy", "start": "uniform"}


def away(model: nn.Sequential) -> Tensor:
    """Return the direction [B, ...] in which each image's loss grows."""
    weight = model[1].weight.detach()
    return (weight[1 - LABELS] - weight[LABELS]).view(-1, *SHAPE)


def worst(x: np.ndarray, direction: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the image of the largest product with the direction in the ball and in [0, 1]: clip(x + t d), by search.

    That form is the condition of Karush, Kuhn and Tucker; its length grows with t, so that halving finds t.
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        change = np.clip(x + middle * direction, 0, 1) - x
        low, high = (middle, high) if np.linalg.norm(change) <= epsilon else (low, middle)
    return np.clip(x + low * direction, 0, 1)


@pytest.mark.parametrize("start", ["uniform", "none", "gaussian"])
@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0])
def test_far_from_the_range_s_ends_it_reaches_the_worst_case_of_a_linear_model(start: str, epsilon: float) -> None:
    x, model = images(0.4, 0.6), linear()
    direction = away(model)
    settings = L2 | {"start": start, "epsilon": epsilon, "step_size": epsilon, "steps": 60}
    found = pgd(model, x, LABELS, **settings, generator=torch_stream("start"))
    expected = x + epsilon * direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert expected.min() > 0 and expected.max() < 1
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 4.0])
def test_at_the_range_s_ends_it_nears_the_worst_case_and_never_passes_it(epsilon: float) -> None:
    x, model = images(-0.1, 1.1), linear()
    direction = away(model)
    step = min(epsilon, 5.0) / 500
    settings = L2 | {"epsilon": epsilon, "step_size": step, "steps": 2500}
    found = pgd(model, x, LABELS, **settings, generator=torch_stream("start"))
    for image, one, way in zip(x.numpy(), found.numpy(), direction.numpy(), strict=True):
        gain, most = float(((one - image) * way).sum()), float(((worst(image, way, epsilon) - image) * way).sum())
        assert 0.995 * most <= gain <= most * (1 + 1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_points_end_in_the_ball_and_in_the_range(dtype: torch.dtype, norm: Any, epsilon: float) -> None:
    x = images(-0.1, 1.1).to(dtype)
    within = ball(x, epsilon, norm)
    noise = torch.randn(x.shape, generator=torch_stream("noise"), dtype=torch.float64).to(dtype)
    for points in (within.project(x + 5 * noise), within.step(x, noise, 0.7), within.step(x + noise, -noise, 3.0)):
        assert distances(points, x, norm).max() <= epsilon + (1e-12 if dtype == torch.float64 else 1e-6)
        assert points.min() >= 0 and points.max() <= 1 and points.dtype == dtype
    inside = (x + 1e-3 * epsilon * noise).clamp(0, 1)
    torch.testing.assert_close(within.project(inside), inside, atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-44, 1e30])
def test_a_euclidean_step_has_its_length_whatever_that_of_the_gradient(scale: float) -> None:
    """Gradients of a network that is sure of itself are so small that their squares are zero."""
    x = images(0.4, 0.6).float()
    gradient = (scale * torch.sign(images().float() - 0.5)).clamp(-3e38, 3e38)
    assert gradient.abs().min() > 0
    moved = ball(x, 10.0, "L2").step(x, gradient, 0.05)
    torch.testing.assert_close(
        distances(moved, x, "L2"), torch.full((6,), 0.05, dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_without_a_gradient_there_is_no_step() -> None:
    x = images()
    for norm in NORMS:
        assert torch.equal(ball(x, 0.3, norm).step(x, torch.zeros_like(x), 0.1), x)  # type: ignore[arg-type]


def test_starts_are_uniform_in_the_ball() -> None:
    """Of the distances R in d dimensions, (R / epsilon)^d is uniform in [0, 1); directions have no mean."""
    count, side, generator = 4000, 2, torch_stream("starts")
    normal = torch.randn(count, 1, side, side, generator=generator, dtype=torch.float64)
    change = uniform_start(normal, torch.rand(count, generator=generator, dtype=torch.float64), 0.5)
    lengths = change.flatten(1).norm(dim=1)
    assert lengths.max() <= 0.5
    shares = np.sort(((lengths / 0.5) ** 4).numpy())
    assert np.abs(shares - np.arange(count) / count).max() < 1.63 / count**0.5  # Kolmogorov and Smirnov, 1 %
    directions = change / lengths.view(-1, 1, 1, 1)
    assert directions.mean(0).abs().max() < 4 * (0.25 / count) ** 0.5


def test_starts_of_pgd_and_of_its_restarts_are_in_the_ball_and_differ() -> None:
    x, model, seen = images(0.3, 0.7), linear(), []

    def watched(points: Tensor) -> Tensor:
        seen.append(points.detach().clone())
        return model(points)

    pgd(watched, x, LABELS, **L2, epsilon=0.2, step_size=0.1, steps=1, generator=torch_stream("start"))
    assert 0.15 < distances(seen[0], x, "L2").max() <= 0.2
    seen.clear()
    right = model(x).argmax(1)
    worst_of_restarts(
        watched, x, right, epsilon=1e-3, step_size=1e-4, steps=1, restarts=2, seed=1, indices=np.arange(6), norm="L2"
    )
    # The clean images; then a start and its end for each restart.
    starts = [seen[1], seen[3]]
    assert all(0.9e-3 < distances(start, x, "L2").max() <= 1e-3 + 1e-12 for start in starts)
    assert not torch.equal(*starts)


def test_restarts_in_the_euclidean_norm_do_not_depend_on_the_batch() -> None:
    x, model = images(), linear()
    right = model(x).argmax(1)
    settings: dict[str, Any] = {"epsilon": 0.05, "step_size": 0.01, "steps": 3, "restarts": 2, "seed": 3, "norm": "L2"}
    whole = worst_of_restarts(model, x, right, **settings, indices=np.arange(6))
    part = worst_of_restarts(model, x[[4, 1]], right[[4, 1]], **settings, indices=np.array([4, 1]))
    torch.testing.assert_close(part.images, whole.images[[4, 1]], atol=1e-12, rtol=0)


@pytest.mark.parametrize(("norm", "epsilon"), [("L2", float("inf")), ("L2", float("nan")), ("L2", -0.5), ("L1", 0.5)])
def test_other_norms_and_lengths_are_refused(norm: Any, epsilon: float) -> None:
    with pytest.raises(WrongInput, match="none of Linf, L2" if norm == "L1" else "is no length of at least 0"):
        pgd(linear(), images(), LABELS, **L2 | {"norm": norm}, epsilon=epsilon, step_size=0.1, steps=1, generator=None)
