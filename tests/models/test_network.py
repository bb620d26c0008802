"""Networks: their sizes, source of weights, normalisation, channel dropout and captured effects."""

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_network
from torch import nn

from ews.core.errors import EwsError

SCALE = {"classes": 10, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
THIN = {"network": "cifar_resnet", "depth": 8, "width": 8}


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        # Published counts: He et al. 2016 (0.27 M), the usual CIFAR networks, and WRN-28-10 (36.5 M).
        ({"network": "cifar_resnet", "depth": 20, "width": 16}, 269_722),
        ({"network": "resnet", "depth": 18, "width": 64}, 11_173_962),
        ({"network": "resnet", "depth": 34, "width": 64}, 21_282_122),
        ({"network": "resnet", "depth": 50, "width": 64}, 23_520_842),
        ({"network": "wide_resnet", "depth": 28, "widen": 10}, 36_479_194),
        # 11,171,146 for the version without the last normalisation, plus that one's scale and shift.
        ({"network": "preact_resnet", "depth": 18, "width": 64}, 11_171_146 + 2 * 512),
    ],
)
def test_numbers_of_parameters(architecture, parameters):
    network = build_network(architecture, **SCALE, generator=torch.Generator().manual_seed(0))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_space_lists_the_hidden_layers():
    bottleneck = build_network({"network": "resnet", "depth": 50, "width": 4}, **SCALE).space
    assert [block.channels for block in bottleneck.blocks[:4]] == [(4, 4), (4, 4), (4, 4), (8, 8)]
    assert len(bottleneck.blocks) == 16
    assert [block.channels for block in build_network(THIN, **SCALE).space.blocks] == [(8,), (16,), (32,)]


def test_weights_follow_the_global_seed_or_the_generator_alone():
    torch.manual_seed(3)
    one = build_network(THIN, **SCALE).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(value, one[name]) for name, value in build_network(THIN, **SCALE).state_dict().items())
    before = torch.get_rng_state()
    first = build_network(THIN, **SCALE, generator=torch.Generator().manual_seed(5))
    second = build_network(THIN, **SCALE, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in second.state_dict().items())
    assert not torch.equal(first.stem.weight, one["stem.weight"])


def test_normalisation_is_inside():
    torch.manual_seed(0)
    inside = build_network(THIN, **SCALE).eval()
    outside = build_network(THIN, classes=10, mean=[0, 0, 0], std=[1, 1, 1]).eval()
    outside.load_state_dict({k: v for k, v in inside.state_dict().items() if k not in ("mean", "std")}, strict=False)
    x = torch.rand(2, 3, 16, 16)
    scaled = (x - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1)
    torch.testing.assert_close(inside(x), outside(scaled))


class Inputs:
    """Records what a module is given."""

    def __init__(self, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda _, inputs: setattr(self, "x", inputs[0].detach().clone()))


def test_dropout_drops_whole_hidden_channels_and_scales_the_rest(network, images):
    x = images(64)
    into = [[Inputs(conv) for conv in block.convs[1:]] for block in network.blocks]
    plain = network(x)
    before = into[0][0].x
    network.set_dropout(0.3, place="hidden")
    torch.manual_seed(0)
    assert not torch.equal(network(x), plain)
    # The first block's input is the same in both passes: the channels are the plain ones, scaled or gone.
    after = into[0][0].x
    dropped = after.abs().amax((2, 3)) == 0
    alive = before.abs().amax((2, 3)) > 0
    kept = ~dropped
    torch.testing.assert_close(after[kept], before[kept] / 0.7)
    assert float((dropped & alive).sum() / alive.sum()) == pytest.approx(0.3, abs=4 * 0.46 / int(alive.sum()) ** 0.5)
    # Every hidden layer is dropped from, with that rate at least (dead channels count as dropped).
    for block in into:
        for layer in block:
            assert float((layer.x.abs().amax((2, 3)) == 0).float().mean()) > 0.1
    evaluated = network.eval()(x)
    network.set_dropout(0.0, place="hidden")
    assert torch.equal(network(x), evaluated)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_rate_out_of_range_is_refused(rate):
    with pytest.raises(EwsError, match="dropout rate"):
        build_network(THIN, **SCALE).set_dropout(rate, place="residual")


def effects_from_weights(network):
    """sum(a dL/da) of a channel is sum(w dL/dw) over the weights that read it: L is a function of their product."""
    return [[(conv.weight * conv.weight.grad).sum((0, 2, 3)) for conv in block.convs[1:]] for block in network.blocks]


def test_captured_effects_are_those_that_the_weights_show(network, images):
    network = network.double()
    x = images(8, dtype=torch.float64)
    network.capture_effects(True, paths=True)
    assert network.take_effects() is None
    network(x).sin().sum().backward()
    taken = network.take_effects()
    for block, expected, effects in zip(network.blocks, effects_from_weights(network), taken, strict=True):
        for one, other in zip(effects.channels, expected, strict=True):
            torch.testing.assert_close(one, other.detach().float(), atol=1e-5, rtol=1e-4)
        # The branch is linear in its last layer: that one's weights (and shift) show the effect of the path.
        last = block.convs[-1] if block.preactivation else block.norms[-1]
        branch = sum((p * p.grad).sum() for p in last.parameters())
        torch.testing.assert_close(effects.paths[0], branch.detach().float(), atol=1e-5, rtol=1e-4)
        if block.projection is not None:
            source = block.projection if block.preactivation else block.projection_norm
            shortcut = sum((p * p.grad).sum() for p in source.parameters())
            torch.testing.assert_close(effects.paths[1], shortcut.detach().float(), atol=1e-5, rtol=1e-4)
    assert network.take_effects() is None


def scaled_paths(block, x, scales):
    """The full pass of a block whose paths are multiplied by ``scales``."""
    active = block.activation
    source = active(block.norms[0](x)) if block.preactivation else x
    residual = source
    for i, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True)):
        if block.preactivation:
            residual = conv(active(norm(residual)) if i else residual)
        else:
            residual = norm(conv(active(residual) if i else residual))
    if block.projection is None:
        extra = block.outputs - block.inputs
        shortcut = F.pad(x[:, :, :: block.stride, :: block.stride], (0, 0, 0, 0, extra // 2, extra - extra // 2))
    else:
        shortcut = block.projection(source)
        shortcut = shortcut if block.projection_norm is None else block.projection_norm(shortcut)
    out = scales[0] * residual + scales[1] * shortcut
    return out if block.preactivation else active(out)


def test_captured_effects_of_paths_are_finite_differences_of_their_scale(network, images, monkeypatch):
    """sum(a dL/da) is dL/ds at s = 1 where s multiplies a: a shortcut's alone, also where it is the block's input."""

    def loss(block, scales):
        with monkeypatch.context() as patch, torch.no_grad():
            patch.setattr(block, "forward", lambda x: scaled_paths(block, x, scales), raising=False)
            return network(x).sin().sum()

    # So small a step that no ReLU's kink lies within.
    network, x, step = network.double(), images(8, dtype=torch.float64), 1e-7
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Else no branch answers its input's scale, and the input's whole gradient passes for the shortcut's.
            module.eps = 0.5
    network.capture_effects(True, paths=True)
    network(x).sin().sum().backward()
    for block, effects in zip(network.blocks, network.take_effects(), strict=True):
        for found, more, less in zip(
            effects.paths, ((1 + step, 1), (1, 1 + step)), ((1 - step, 1), (1, 1 - step)), strict=True
        ):
            expected = (loss(block, more) - loss(block, less)) / (2 * step)
            torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=1e-4)


def test_capture_changes_no_gradient_and_other_passes_are_not_captured(network, images):
    x = images(8)
    subnet = network.space.everything(device="cpu")
    network(x).square().sum().backward()
    plain = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    network.capture_effects(True, paths=True)
    network(x).square().sum().backward()
    assert all(torch.equal(p.grad, before) for p, before in zip(network.parameters(), plain, strict=True))
    first = network.take_effects()
    network(x, subnet).square().sum().backward()
    network.eval()(x).square().sum().backward()
    assert network.take_effects() is None
    network.train()
    for _ in range(2):  # Backward passes of one step add up.
        network(x).square().sum().backward()
    twice = network.take_effects()
    torch.testing.assert_close(twice[0].channels[0], 2 * first[0].channels[0])
    network.capture_effects(False)
    network(x).square().sum().backward()
    assert network.take_effects() is None
