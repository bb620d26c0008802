"""Scales that start at zero, and inputs that are not normalised."""

from typing import Any

import pytest
import torch
from helpers.science import build_method, build_network
from pydantic import ValidationError
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.methods.component import Batch, Context
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.awnet.awnet import routing
from ews.models.block import BlockSpec, Unit
from ews.models.network import Network

POST: dict[str, dict[str, Any]] = {
    "padding": {"network": "cifar_resnet", "depth": 8, "width": 6},
    "projection": {"network": "resnet", "depth": 18, "width": 4},
    "bottleneck": {"network": "resnet", "depth": 50, "width": 3},
}
ALL = {**POST, "preact": {"network": "preact_resnet", "width": 4}, "wide": {"network": "wide_resnet", "depth": 10}}
ALL["wide"]["widen"] = 1


def build(architecture: dict[str, Any], **changed: Any) -> Network:
    generator = torch.Generator().manual_seed(1)
    values = {**architecture, **changed}
    return build_network(values, classes=4, mean=[0.4] * 3, std=[0.2] * 3, generator=generator).double().train()


def zeroed(architecture: dict[str, Any], **changed: Any) -> Network:
    """Build with branches that start at zero; with softplus where shortcuts pad, which ReLU would leave dead."""
    padded = {"activation": "softplus"} if architecture["network"] == "cifar_resnet" else {}
    return build(architecture, zero_init_residual=True, **padded, **changed)


@pytest.mark.parametrize("key", POST)
def test_every_scale_and_shift_moves_within_two_steps(key: str, images) -> None:
    network = zeroed(POST[key])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in network.named_parameters() if ".norms." in name}
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images(6, dtype=torch.float64)), torch.arange(6) % 4).backward()
        optimizer.step()
    after = dict(network.named_parameters())
    for name, value in before.items():
        assert (after[name] != value).float().mean() > 0.9, name


def test_shortcuts_that_pad_refuse_it_with_relu() -> None:
    with pytest.raises(ValidationError, match="dead for ever"):
        build(POST["padding"], zero_init_residual=True)


@pytest.mark.parametrize("key", POST)
def test_a_branch_whose_last_scale_is_zero_adds_nothing_at_first(key: str, images) -> None:
    network = zeroed(POST[key])
    plain = build(POST[key], activation="softplus" if key == "padding" else "relu")
    x = images(6, dtype=torch.float64)
    seen: list[tuple[Tensor, Tensor]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda block, inputs, output: seen.append((inputs[0].clone(), output.clone())))
    network(x)
    for block, (given, found) in zip(network.blocks, seen, strict=True):
        extra = (block.outputs - block.inputs) // 2
        if block.projection is not None:
            assert block.projection_norm is not None
            shortcut = block.projection_norm(block.projection(given))
        else:
            shortcut = nn.functional.pad(given[:, :, :: block.stride, :: block.stride], (0, 0, 0, 0, extra, extra))
        torch.testing.assert_close(found, network.activation(shortcut))
    # Only those scales differ: no draw is another one.
    ends = {f"blocks.{i}.norms.{len(block.convs) - 1}.weight" for i, block in enumerate(network.blocks)}
    for name, value in plain.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(value, network.state_dict()[name]) is (name not in ends), name


def test_pre_activation_blocks_have_no_such_scale() -> None:
    for kind in ("preact_resnet", "wide_resnet"):
        with pytest.raises(ValidationError, match="zero_init_residual"):
            ARCHITECTURES[kind].parameters.model_validate({"depth": 18, "width": 4, "zero_init_residual": True})
    with pytest.raises(EwsError, match="pre-activation"):
        BlockSpec((Unit(4, 3, 1),), "identity", preactivation=True, zero_scale=True)


@pytest.mark.parametrize("search", ["learned", "l1_norm", "gradient", "bandit", "random"])
def test_ews_trains_a_network_whose_branches_start_at_zero(search: str) -> None:
    network = zeroed(POST["padding"])
    context = Context(
        network=network,
        augmentation_loss=lambda logits, labels, cross_entropy: cross_entropy(logits[0], labels),
        seed=0,
        label_smoothing=0.0,
        device=torch.device("cpu"),
    )
    # Narrow enough that subnets drop paths too.
    ews = {"name": "ews", "search": search, "interval": 1, "width": 0.4, "hidden": 4}
    method = build_method(context, ews)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    method.begin_epoch(0)
    for iteration in range(3):
        images = torch.rand(1, 8, 3, 8, 8, generator=torch.Generator().manual_seed(iteration), dtype=torch.float64)
        batch = Batch(images=images, labels=torch.arange(8) % 4, iteration=iteration, epoch=0)
        optimiser.zero_grad()
        method.gradients(batch)
        optimiser.step()
    assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    assert all(float(block.norms[-1].weight.detach().abs().max()) > 0 for block in network.blocks)


def test_awnet_copies_the_zero_scales_into_both_branches(images) -> None:
    network = zeroed({**POST["padding"], "dynamic": {"name": "awnet", "extractor": [4]}})
    x = images(6, dtype=torch.float64)
    for block in network.blocks:
        for norm in (block.norms[-1].clean, block.norms[-1].adversarial):
            assert not norm.weight.any()
    with routing(network, clean=3):
        network(x).square().sum().backward()
    ends = [getattr(block.norms[-1], kind).weight.grad for block in network.blocks for kind in ("clean", "adversarial")]
    assert all(gradient is not None and bool(gradient.abs().max() > 0) for gradient in ends)


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("dynamic", [None, {"name": "awnet", "extractor": [4]}], ids=["plain", "awnet"])
def test_without_normalisation_images_reach_the_stem_as_they_are(key: str, dynamic: Any, images) -> None:
    inside, outside = (build({**ALL[key], "dynamic": dynamic}, normalise=on).eval() for on in (True, False))
    seen: list[Tensor] = []
    outside.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    x = images(3, dtype=torch.float64)
    found = outside(x)
    assert torch.equal(seen[0], x)
    # The same weights on images that were normalised before; the router sees what the stem sees.
    torch.testing.assert_close(inside(x), outside((x - inside.mean) / inside.std))
    assert not torch.allclose(inside(x), found)
