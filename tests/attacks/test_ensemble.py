"""AutoAttack: what our way of running it must not change, and what is refused."""

import sys

import pytest
import torch
from helpers.science import build_network
from pyautoattack import AutoAttack
from torch import Tensor, nn

from ews.attacks import ensemble
from ews.attacks.ensemble import autoattack, check_range
from ews.core.errors import EwsError
from ews.core.seeds import torch_stream

COUNT = 24
SETTINGS = {"version": "standard", "batch_size": 10, "seed": 5, "device": torch.device("cpu")}


class Quick(AutoAttack):
    """With fewer iterations."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)
        for attack in (self.apgd, self.apgd_targeted):
            attack.n_iter = attack.n_iter_orig = 4
        self.fab.n_iter = 3
        self.square.n_queries = 10


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ensemble, "AutoAttack", Quick)


def images() -> Tensor:
    return torch.rand(COUNT, 3, 8, 8, generator=torch_stream("images"))


def network(classes: int = 10) -> nn.Module:
    architecture = {"name": "thin", "network": "cifar_resnet", "depth": 8, "width": 4}
    built = build_network(
        architecture, classes=classes, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("network")
    )
    return built.eval().requires_grad_(False)


@pytest.fixture
def labels() -> Tensor:
    found = network()(images()).argmax(1)
    found[:3] = (found[:3] + 1) % 10
    return found


@pytest.mark.parametrize("version", ["standard", pytest.param("plus", marks=pytest.mark.slow)])
def test_one_attack_after_the_other_is_what_the_package_does_in_one_go(quick, labels, version):
    model, epsilon = network(), 0.004
    attacker = Quick(model, norm="Linf", eps=epsilon, version=version, seed=5)
    with torch.random.fork_rng():
        attacked, predicted = attacker.run_standard_evaluation(images(), labels, batch_size=10)
    found = autoattack(model, images(), labels, epsilon=epsilon, **SETTINGS | {"version": version})
    assert torch.equal(found.images, attacked)
    last = list(found.robust)[-1]
    assert torch.equal(found.robust[last], predicted == labels)
    assert list(found.robust) == ["clean", *attacker.attacks_to_run]
    # The radius leaves something to find for several attacks.
    counts = [int(flags.sum()) for flags in found.robust.values()]
    assert counts == sorted(counts, reverse=True) and 0 < counts[-1] < counts[1] < counts[0] == COUNT - 3


def test_the_memory_format_plays_no_part(quick, labels):
    twisted = images().contiguous(memory_format=torch.channels_last)
    found = [autoattack(network(), x, labels, epsilon=0.004, **SETTINGS).images for x in (images(), twisted)]
    assert torch.equal(*found)


def test_the_global_state_is_left_alone_and_plays_no_part(quick, labels):
    seen = []

    def tracer(*_: object) -> None:
        return None

    before = sys.gettrace()
    for state in (0, 1):
        torch.manual_seed(state)
        expected = torch.rand(3)
        torch.manual_seed(state)
        sys.settrace(tracer)
        try:
            seen.append(autoattack(network(), images(), labels, epsilon=0.02, **SETTINGS).images)
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)
        assert torch.equal(torch.rand(3), expected)
    assert torch.equal(*seen)


def test_other_seeds_and_batches_attack_otherwise(quick, labels):
    found = [
        autoattack(network(), images(), labels, epsilon=0.02, **SETTINGS | change).images
        for change in ({}, {"seed": 6}, {"batch_size": 24})
    ]
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize("classes", [4, 7, 100])
def test_other_numbers_of_classes_have_their_own_number_of_targets(quick, classes):
    model = network(classes)
    found = autoattack(model, images(), model(images()).argmax(1), epsilon=0.02, **SETTINGS)
    assert not [text for text in found.warnings if "target classes" in text]


class Shattered(nn.Module):
    """A network whose input is rounded: its gradients are zero, and it is no more robust for that."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x * 255).round() / 255)


def test_the_package_s_warnings_are_collected_and_not_printed(quick, capfd):
    model = Shattered()
    truth = model(images()).argmax(1)
    found = autoattack(model.eval(), images(), truth, epsilon=0.004, **SETTINGS)
    assert any("zero gradient" in text for text in found.warnings)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (x - 0.5) / 0.25, r"images reach from -\S+ to \S+; they must be in \[0, 1\]"),
        (lambda x: x * 255, r"must be in \[0, 1\]\. Divide grey levels by 255"),
        (lambda x: x * torch.nan, r"must be in \[0, 1\]"),
        (lambda x: x.double(), "float32"),
        (lambda x: (255 * x).to(torch.uint8), r"torch\.uint8"),
        (lambda x: x[0], r"\[B, 3, H, W\] is needed"),
    ],
    ids=["normalised", "grey levels", "nan", "double", "integers", "one image"],
)
def test_images_out_of_range_are_refused_before_the_network_runs(labels, change, message):
    def never(_: nn.Module, arguments: object) -> None:
        raise AssertionError("the network ran")

    model = network()
    model.register_forward_pre_hook(never)
    with pytest.raises(EwsError, match=message):
        autoattack(model, change(images()), labels, epsilon=0.02, **SETTINGS)
    with pytest.raises(EwsError, match=message):
        check_range(change(images()))


def test_networks_that_cannot_be_attacked_are_refused(labels):
    with pytest.raises(EwsError, match="training mode"):
        autoattack(network().train(), images(), labels, epsilon=0.02, **SETTINGS)
    with pytest.raises(EwsError, match="at least 4 classes, and there are 3"):
        autoattack(network(3), images(), labels, epsilon=0.02, **SETTINGS)
    broken = network()
    torch.nn.init.constant_(broken.head.bias, torch.nan)
    with pytest.raises(EwsError, match="logits are not finite"):
        autoattack(broken, images(), labels, epsilon=0.02, **SETTINGS)


@pytest.mark.parametrize(("change", "message"), [({"epsilon": 8}, "epsilon"), ({"batch_size": 0}, "batch_size")])
def test_bad_parameters_are_named(labels, change, message):
    with pytest.raises(ValueError, match=message):
        autoattack(network(), images(), labels, **{"epsilon": 0.02, **SETTINGS, **change})
