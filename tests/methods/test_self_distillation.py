"""Self-distillation's term, its teacher and what it leaves alone."""

from typing import Any

import pytest
import torch
from helpers.methods import first_view
from helpers.science import build_method, build_network
from torch import Tensor

from ews.core.seeds import torch_stream
from ews.methods.component import Batch, Context
from ews.methods.compose import Method
from ews.methods.self_distillation.self_distillation import SelfDistillation


def make(**parameters: Any) -> tuple[Context, Method, SelfDistillation]:
    network = build_network(
        {"network": "cifar_resnet", "depth": 8, "width": 4},
        classes=4,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        generator=torch_stream("test", "init"),
    ).double()
    cpu = torch.device("cpu")
    context = Context(network=network, augmentation_loss=first_view, seed=5, label_smoothing=0.0, device=cpu)
    method = build_method(context, {"name": "self_distillation", **parameters})
    (extra,) = method.extras
    assert isinstance(extra, SelfDistillation)
    return context, method, extra


def batch(iteration: int) -> Batch:
    images = torch.rand(1, 10, 3, 8, 8, generator=torch_stream("test", iteration), dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(10) % 4, iteration=iteration, epoch=0)


def step(context: Context, method: Method, one: Batch) -> dict[str, Tensor]:
    """Take a step of plain gradient descent."""
    context.network.zero_grad()
    metrics = method.gradients(one)
    with torch.no_grad():
        for parameter in context.network.parameters():
            parameter -= 0.1 * parameter.grad
    return metrics


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.99])
def test_the_teacher_is_the_moving_average_of_the_weights_before_each_step(decay: float) -> None:
    context, method, extra = make(decay=decay)
    average: dict[str, Tensor] = {}
    for iteration in range(1, 6):
        current = {name: value.clone() for name, value in context.network.named_parameters()}
        keep = min(decay, 1 - 1 / iteration)
        average = {name: keep * average.get(name, value) + (1 - keep) * value for name, value in current.items()}
        step(context, method, batch(iteration))
        for name, value in extra.teacher.named_parameters():
            torch.testing.assert_close(value, average[name], rtol=1e-12, atol=1e-14)
            assert not value.requires_grad


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_the_gradient_is_that_of_cross_entropy_and_the_weighted_divergence(weight: float) -> None:
    context, method, extra = make(weight=weight)
    for iteration in (1, 2):
        step(context, method, batch(iteration))
    one = batch(3)
    context.network.zero_grad()
    metrics = method.gradients(one)
    found = [parameter.grad.clone() for parameter in context.network.parameters()]

    context.network.zero_grad()
    logits = context.network(one.images[0])
    with torch.no_grad():
        p = extra.teacher(one.images[0]).softmax(1)
    divergence = (p * (p.log() - logits.log_softmax(1))).sum(1).mean()
    (torch.nn.functional.cross_entropy(logits, one.labels) + weight * divergence).backward()
    for gradient, parameter in zip(found, context.network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(metrics["distillation"], divergence.detach())
    assert divergence > 1e-6


def test_running_statistics_move_as_vanilla_s_and_the_teacher_is_in_evaluation_mode() -> None:
    context, method, extra = make()
    plain, vanilla, _ = make(weight=0.0)
    step(context, method, batch(1))
    step(plain, vanilla, batch(1))
    mine, theirs = dict(context.network.named_buffers()), dict(plain.network.named_buffers())
    assert mine.keys() == theirs.keys()
    # The first step's average is the network itself, whose weights have not moved.
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name
    assert not extra.teacher.training and context.network.training


def test_the_state_restores_the_teacher() -> None:
    context, method, extra = make(decay=0.5)
    for iteration in (1, 2, 3):
        step(context, method, batch(iteration))
    _, other, restored = make(decay=0.5)
    other.load_state_dict(method.state_dict())
    for name, value in extra.teacher.state_dict().items():
        assert torch.equal(value, restored.teacher.state_dict()[name])
