"""AW-Net against its definitions: the backbone at omega = 1, the selected branch, and filters multiplied per image."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_network
from safetensors.torch import load, save
from torch import nn

from ews.attacks.mode import frozen_statistics
from ews.attacks.pgd import pgd
from ews.core.errors import EwsError
from ews.models.awnet.awnet import ADVERSARIAL, CLEAN, MixBN, Router, awnet, router_of, routing
from ews.models.awnet.awnet_spec import AwnetNetwork
from ews.models.block import Block

EXTRACTOR = (4, 6)
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def made(network, *, seed=3):
    """The network with a router in place, and as it was before."""
    backbone = copy.deepcopy(network)
    awnet(network, AwnetNetwork(extractor=EXTRACTOR), torch.Generator().manual_seed(seed))
    return network, backbone


def lively(network, *, seed=7):
    """Signals and branches such that every image and type has filters and statistics of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for head in network.router.signal_heads:
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
            head.bias.copy_(torch.randn(head.bias.shape, generator=generator))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(module.bias, 0.0, 0.3, generator=generator)
    return network


def decide(network, kind):
    """Make the router sure of a type, whatever it sees: P is 0 or 1 exactly."""
    with torch.no_grad():
        network.router.type_head[2].weight.zero_()
        network.router.type_head[2].bias.copy_(torch.tensor([1e4, -1e4] if kind == CLEAN else [-1e4, 1e4]))


def branches(network):
    return [module for module in network.modules() if isinstance(module, MixBN)]


def test_at_first_it_is_its_backbone(network, images):
    """omega = 1 at the zero initialisation; with the branches still alike any P gives the backbone."""
    network, backbone = made(network.double())
    x = images(6, dtype=torch.float64)
    torch.testing.assert_close(network.eval()(x), backbone.eval()(x), **TIGHT)
    for kind in (CLEAN, ADVERSARIAL):
        decide(network, kind)
        torch.testing.assert_close(network(x), backbone(x), **TIGHT)


@pytest.mark.parametrize("clean", [6, 0])
def test_in_training_one_type_is_the_backbone_too_and_moves_that_branch_alone(network, images, clean):
    network, backbone = made(network.double())
    x = images(6, dtype=torch.float64)
    before = copy.deepcopy(network.state_dict())
    with routing(network, clean=clean):
        found = network.train()(x)
    assert torch.equal(found, backbone.train()(x))
    used, other = ("clean", "adversarial") if clean else ("adversarial", "clean")
    expected = backbone.norm.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in getattr(network.norm, used).state_dict().items())
    for name, value in network.state_dict().items():
        if f".{other}." in name:
            assert torch.equal(value, before[name]), name
        if name.endswith(f".{used}.running_mean"):
            assert not torch.equal(value, before[name]), name


def test_the_types_of_a_joint_batch_are_normalised_apart(network, images):
    """With omega = 1 nothing else ties the images of a batch together: two passes of the backbone."""
    network, backbone = made(network.double())
    x = images(10, dtype=torch.float64)
    with routing(network, clean=4):
        found = network.train()(x)
    clean, adversarial = copy.deepcopy(backbone).train(), copy.deepcopy(backbone).train()
    torch.testing.assert_close(found, torch.cat([clean(x[:4]), adversarial(x[4:])]), **TIGHT)
    for name, value in clean.norm.state_dict().items():
        torch.testing.assert_close(network.norm.clean.state_dict()[name], value, **TIGHT)
    for name, value in adversarial.norm.state_dict().items():
        torch.testing.assert_close(network.norm.adversarial.state_dict()[name], value, **TIGHT)


@pytest.mark.parametrize("kind", [CLEAN, ADVERSARIAL])
def test_sure_of_a_type_mixbn_is_that_type_s_branch(network, images, kind):
    network, _ = made(network.double())
    lively(network).eval()
    x = images(5, dtype=torch.float64)
    mixed = network(x)
    decide(network, kind)
    selected = network(x)
    for norm in branches(network):
        norm.forward = norm.clean if kind == CLEAN else norm.adversarial
    torch.testing.assert_close(selected, network(x), **TIGHT)
    assert not torch.allclose(mixed, selected)


def test_mixbn_weighs_its_branches_by_the_router_s_probabilities(network, images):
    network, _ = made(network.double())
    lively(network).eval()
    seen = []
    network.norm.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].clone(), output.clone())))
    with routing(network) as call:
        network(images(5, dtype=torch.float64))
    ((x, out),) = seen
    for image, (source, probabilities) in enumerate(zip(x, call.types.softmax(1), strict=True)):
        source = source[None]
        expected = probabilities[0] * network.norm.clean(source) + probabilities[1] * network.norm.adversarial(source)
        torch.testing.assert_close(out[image], expected[0], **TIGHT)
    assert float(call.types.softmax(1).std(0).min().detach()) > 0


def per_image_filters(network, image):
    """A plain network whose weights are the ones that the router makes for this one image."""
    with routing(network) as call:
        network(image)
    own = copy.deepcopy(network)
    with torch.no_grad():
        for block, omega in zip(own.blocks, call.scales, strict=True):
            first = 0
            for conv in block.convs:
                conv.weight *= omega[0, first : first + conv.out_channels, None, None, None]
                first += conv.out_channels
            assert first == omega.shape[1]
        for head in own.router.signal_heads:
            head.weight.zero_()
            head.bias.zero_()
    return own


def test_scaled_channels_are_filters_multiplied_per_image(network, images):
    """W'_{j,k}(x) = omega_{j,k}(x) W_{j,k}, by a network of its own for each image."""
    network, _ = made(network.double())
    lively(network).eval()
    x = images(5, dtype=torch.float64)
    together = network(x)
    omegas = []
    for place, image in enumerate(x.split(1)):
        own = per_image_filters(network, image)
        torch.testing.assert_close(own(image), together[place : place + 1], **TIGHT)
        omegas.append(own.blocks[0].convs[0].weight)
    assert not torch.allclose(omegas[0], omegas[1], rtol=1e-3)


def test_scales_lie_between_0_and_2_with_an_entry_for_every_filter_of_the_branch(network, images):
    network, _ = made(network.double())
    lively(network).eval()
    passes = {}
    for block in network.blocks:
        for conv in block.convs:
            conv.register_forward_hook(lambda conv, x, out: passes.update({conv: (x[0].detach().clone(), out.clone())}))
    with routing(network) as call, torch.no_grad():
        network(images(3, dtype=torch.float64))
    for block, omega in zip(network.blocks, call.scales, strict=True):
        assert float(omega.min()) > 0 and float(omega.max()) < 2 and float(omega.std(0).min()) > 0
        plain = [F.conv2d(passes[conv][0], conv.weight, None, conv.stride, conv.padding) for conv in block.convs]
        parts = omega.split([conv.out_channels for conv in block.convs], dim=1)
        for conv, out, part in zip(block.convs, plain, parts, strict=True):
            torch.testing.assert_close(passes[conv][1], out * part[:, :, None, None], **TIGHT)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_the_router_the_backbone_and_the_images(network, images, training):
    network, _ = made(network)
    lively(network).train(training)
    x = images(6).requires_grad_()
    with routing(network, clean=3) as call:
        logits = network(x)
    (F.cross_entropy(logits, torch.arange(6) % 5) + F.cross_entropy(call.types, torch.arange(6) // 3)).backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in network.parameters())
    assert float(x.grad.abs().sum()) > 0


def test_in_evaluation_the_images_gradient_goes_through_signals_and_types(network, images):
    """What an attack differentiates: without the router's part it is another gradient."""
    network, _ = made(network.double())
    lively(network).eval()
    x = images(4, dtype=torch.float64).requires_grad_()
    (whole,) = torch.autograd.grad(network(x).square().sum(), x)
    held = copy.deepcopy(network)
    router = held.router.forward
    held.router.forward = lambda image: router(image.detach())
    (part,) = torch.autograd.grad(held(x).square().sum(), x)
    assert not torch.allclose(whole, part, rtol=1e-3)
    # By differences, along the gradient itself.
    step, direction = 1e-6, whole / whole.norm()
    with torch.no_grad():
        slope = (network(x + step * direction).square().sum() - network(x - step * direction).square().sum()) / 2 / step
    assert float(slope) == pytest.approx(float(whole.norm()), rel=1e-4)


def test_the_backbone_keeps_its_weights_and_their_names(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network, _ = made(network)
    after = network.state_dict()
    for name, value in before.items():
        part, _, entry = name.rpartition(".")
        mixed = name.startswith(("norm.",)) or ".norms." in name or ".projection_norm." in name
        for found in [f"{part}.clean.{entry}", f"{part}.adversarial.{entry}"] if mixed else [name]:
            assert torch.equal(after.pop(found), value)
    assert after and all(name.startswith("router.") for name in after)


@pytest.mark.parametrize("network_name", ["preact_resnet", "resnet"])
def test_build_makes_it_from_one_generator_and_leaves_the_global_one_alone(network_name):
    architecture = {"network": network_name, "depth": 18, "width": 2}
    scale = {"classes": 3, "mean": [0.5] * 3, "std": [0.25] * 3}
    state = torch.get_rng_state()
    plain = build_network(architecture, **scale, generator=torch.Generator().manual_seed(5))
    dynamic = {**architecture, "dynamic": {"name": "awnet", "extractor": [16, 32, 64]}}
    first, second = (build_network(dynamic, **scale, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in plain.state_dict().items():
        if name in first.state_dict():
            assert torch.equal(first.state_dict()[name], value)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert router_of(plain) is None and isinstance(router_of(first), Router)
    # Convolutions and normalisations of the extractor, the type head, and a signal head per block.
    extractor = 9 * (3 * 16 + 16 * 32 + 32 * 64) + 2 * (16 + 32 + 64)
    heads = 64 * 65 + 65 * 2 + 65 * sum(conv.out_channels for block in plain.blocks for conv in block.convs)
    norms = sum(2 * module.num_features for module in plain.modules() if isinstance(module, nn.BatchNorm2d))
    count = sum(parameter.numel() for parameter in first.parameters())
    assert count == sum(parameter.numel() for parameter in plain.parameters()) + extractor + heads + norms


def test_copies_and_stored_weights_are_whole(network, images):
    network, backbone = made(network)
    lively(network).eval()
    x = images(4)
    expected = network(x)
    twin = copy.deepcopy(network)
    assert torch.equal(twin(x), expected)
    # The copy has signals of its own.
    with torch.no_grad():
        twin.router.signal_heads[0].bias.add_(1)
    assert not torch.equal(twin(x), expected) and torch.equal(network(x), expected)
    other, _ = made(backbone, seed=99)
    other.load_state_dict(load(save(network.state_dict())))
    assert torch.equal(other.eval()(x), expected)
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), expected)


def test_nothing_of_a_pass_is_kept_also_after_an_error(network, images):
    network, _ = made(network)
    network.eval()(images(2))
    signals = network.router.signals
    assert (len(signals.scales), signals.shares, signals.clean) == (0, None, None)
    with pytest.raises(RuntimeError):
        network(images(2)[:, :, :, :0])
    assert (len(signals.scales), signals.shares, signals.clean) == (0, None, None)
    with pytest.raises(ZeroDivisionError), routing(network, clean=2):
        raise ZeroDivisionError
    assert network.router.call is None


def test_attacks_run_through_it_and_touch_no_statistics(network, images):
    network, _ = made(network)
    lively(network)
    before = copy.deepcopy(network.state_dict())
    x, labels = images(4), torch.arange(4)
    settings = {"epsilon": 0.03, "step_size": 0.01, "steps": 3, "start": "none", "loss": "cross_entropy"}
    with frozen_statistics(network):
        network.eval()
        found = pgd(network, x, labels, **settings, generator=None)
        with routing(network, clean=0):
            pgd(network.train(), x, labels, **settings, generator=None)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        network.eval()
        assert F.cross_entropy(network(found), labels) > F.cross_entropy(network(x), labels)


def test_the_layout_in_memory_changes_nothing_but_rounding(network, images):
    network, _ = made(network.double())
    lively(network).eval()
    x = images(3, dtype=torch.float64)
    expected = network(x)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x.contiguous(memory_format=torch.channels_last)), expected, **TIGHT)


def test_half_precision_passes_are_close(network, images):
    network, _ = made(network)
    lively(network)
    x = images(8)
    for training in (False, True):
        network.train(training)
        with routing(network, clean=4), frozen_statistics(network):
            exact = network(x)
            with torch.autocast("cpu", torch.bfloat16):
                half = network(x)
        assert half.dtype == torch.bfloat16
        assert float((half.float() - exact).detach().norm()) < 0.3 * float(exact.detach().norm())


def test_what_it_cannot_do_is_refused(network, images):
    plain = copy.deepcopy(network)
    network, _ = made(network)
    with pytest.raises(EwsError, match=r"training mode must say how many of its 4 images.*clean"):
        network.train()(images(4))
    with routing(network, clean=5), pytest.raises(EwsError, match="4 images"):
        network(images(4))
    with pytest.raises(EwsError, match="has no subnets"):
        network(images(4), subnet=plain.space.everything(device="cpu"))
    with pytest.raises(EwsError, match="no router"), routing(plain):
        pass
    for extractor in ([], [4, 0], [2.5]):
        with pytest.raises(ValueError, match="extractor"):
            AwnetNetwork.model_validate({"extractor": extractor})
    assert router_of(plain) is None and all(type(conv) is nn.Conv2d for conv in plain.blocks[0].convs)
    assert isinstance(plain.blocks[0], Block)
