"""A small network in float64, and methods around SAM and ASAM, for the tests of both."""

from typing import Any

import pytest
import torch
from helpers.methods import first_view
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.core.seeds import torch_stream
from ews.methods.component import Batch, Context
from ews.methods.compose import Method
from ews.methods.sharpness import SharpnessAware

SAM: dict[str, Any] = {"name": "sam", "rho": 0.2, "sub_batches": 1, "statistics": "part"}
ASAM: dict[str, Any] = {"name": "asam", "rho": 0.5, "sub_batches": 1, "statistics": "part"}
BOTH = [pytest.param(SAM, id="sam"), pytest.param(ASAM, id="asam")]
CLASSES = 4


def make_context(network: nn.Module | None = None) -> Context:
    if network is None:
        architecture = {"network": "cifar_resnet", "depth": 8, "width": 4}
        generator = torch_stream("test", "init")
        network = build_network(architecture, classes=CLASSES, mean=[0.5] * 3, std=[0.2] * 3, generator=generator)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.uniform_(-0.5, 0.5, generator=generator)
    return Context(
        network=network.double().train(),  # type: ignore[arg-type]
        augmentation_loss=first_view,
        seed=5,
        label_smoothing=0.0,
        device=torch.device("cpu"),
    )


def make_batch(iteration: int = 1, *, views: int = 1, size: int = 10) -> Batch:
    generator = torch_stream("test", "batch", iteration)
    images = torch.rand(views, size, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(size) % CLASSES, iteration=iteration, epoch=0)


def make(context: Context, *components: dict[str, Any]) -> Method:
    method = build_method(context, *components)
    method.begin_epoch(0)
    return method


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        assert torch.equal(one[name], other[name]), name


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance, msg=name)


def wrapper_of(method: Method) -> SharpnessAware:
    (wrapper,) = method.wrappers
    assert isinstance(wrapper, SharpnessAware)
    return wrapper


def kl(p: Tensor, q: Tensor) -> Tensor:
    p, q = p.softmax(1), q.softmax(1)
    return (p * (p / q).log()).sum(1).mean()
