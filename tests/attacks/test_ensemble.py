"""AutoAttack: what our way of running it must not change, and what is refused."""

import inspect
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


@pytest.mark.parametrize(
    ("version", "norm", "epsilon"),
    [
        ("standard", "Linf", 0.004),
        ("standard", "L2", 0.04),
        ("rand", "Linf", 0.004),
        pytest.param("plus", "Linf", 0.004, marks=pytest.mark.slow),
    ],
)
def test_one_attack_after_the_other_is_what_the_package_does_in_one_go(quick, labels, version, norm, epsilon):
    model = network()
    attacker = Quick(model, norm=norm, eps=epsilon, version=version, seed=5)
    if version == "rand":
        attacker.apgd.eot_iter = 2
    with torch.random.fork_rng():
        attacked, predicted = attacker.run_standard_evaluation(images(), labels, batch_size=10)
    given = SETTINGS | {"version": version, "norm": norm, "eot": 2}
    found = autoattack(model, images(), labels, epsilon=epsilon, **given)
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
        (lambda x: x[0], r"\[B, C, H, W\] is needed"),
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
    with pytest.raises(EwsError, match="one class; to attack it there must be another"):
        autoattack(network(1), images(), labels, epsilon=0.02, **SETTINGS)
    with pytest.raises(EwsError, match=r"network: a function; AutoAttack needs a torch\.nn\.Module"):
        autoattack(lambda x: x, images(), labels, epsilon=0.02, **SETTINGS)
    broken = network()
    torch.nn.init.constant_(broken.head.bias, torch.nan)
    with pytest.raises(EwsError, match="logits are not finite"):
        autoattack(broken, images(), labels, epsilon=0.02, **SETTINGS)


LEFT_OUT = {
    ("standard", 2): ("apgd-t",),
    ("standard", 3): ("apgd-t",),
    ("rand", 2): ("apgd-dlr",),
    ("rand", 3): (),
    ("plus", 2): ("apgd-dlr", "apgd-t"),
    ("plus", 3): ("apgd-t",),
}


@pytest.mark.parametrize(("version", "classes"), LEFT_OUT)
def test_with_few_classes_what_is_not_defined_is_left_out_and_named(quick, version, classes):
    model = network(classes)
    truth = model(images()).argmax(1)
    given = SETTINGS | {"version": version, "eot": 1}
    found = autoattack(model, images(), truth, epsilon=0.03, **given)
    assert found.left_out == LEFT_OUT[version, classes]
    run = list(found.robust)
    assert run[0] == "clean" and not set(run) & set(found.left_out)
    whole = list(autoattack(network(), images(), truth, epsilon=0.0, **given).robust)
    assert [name for name in whole if name not in found.left_out] == run
    # What is left still finds images, which are wrong and near.
    last = found.robust[run[-1]]
    assert not last.all() and torch.equal(model(found.images).argmax(1) == truth, last)
    assert (found.images - images()).abs().max() <= 0.03 + 1e-6 and not found.warnings


class Jittery(nn.Module):
    """A network that adds noise to its input in evaluation mode too, and counts its passes with a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.passes = network(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += int(torch.is_grad_enabled())
        return self.network(x + 0.02 * torch.randn_like(x))


def test_a_random_network_has_its_own_version_with_means_of_gradients(quick, labels):
    model = Jittery().eval()
    settings = SETTINGS | {"batch_size": COUNT}
    assert any("rand" in text for text in autoattack(model, images(), labels, epsilon=0.02, **settings).warnings)
    counts = {}
    for eot in (1, 2, 4):
        model.passes = 0
        found = autoattack(model, images(), labels, epsilon=0.02, **settings | {"version": "rand", "eot": eot})
        counts[eot] = model.passes
        assert list(found.robust) == ["clean", "apgd-ce", "apgd-dlr"]
        assert not any("rand" in text for text in found.warnings)
    # Of two attacks, four steps and the start each.
    assert (counts[2] - counts[1], counts[4] - counts[1]) == (10, 30)


def test_the_usual_number_of_passes_is_the_package_s() -> None:
    attacker = AutoAttack(network(), version="rand", seed=0)
    assert attacker.apgd.eot_iter == ensemble.EOT == inspect.signature(autoattack).parameters["eot"].default


def test_the_result_on_a_random_network_is_a_function_of_the_seed(quick, labels):
    found = []
    for state in (0, 1):
        torch.manual_seed(state)
        given = SETTINGS | {"version": "rand", "eot": 2}
        found.append(autoattack(Jittery().eval(), images(), labels, epsilon=0.02, **given))
    assert torch.equal(found[0].images, found[1].images)
    assert all(torch.equal(found[0].robust[name], found[1].robust[name]) for name in found[0].robust)


def test_in_the_euclidean_norm_images_lie_in_that_ball(quick, labels):
    found = autoattack(network(), images(), labels, epsilon=0.2, norm="L2", **SETTINGS)
    distance = (found.images.double() - images().double()).flatten(1).norm(dim=1)
    assert 0.1 < distance.max() <= 0.2 + 1e-6 and found.images.min() >= 0 and found.images.max() <= 1
    assert not found.robust["square"].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 8}, "epsilon: 8 is not in"),
        ({"epsilon": -1.0, "norm": "L2"}, "epsilon: -1.0 is no length"),
        ({"norm": "L1"}, "norm: 'L1' is none of Linf, L2"),
        ({"version": "custom"}, "version: 'custom' is none of standard, plus, rand"),
        *(({name: value}, f"{name}: .* at least") for name in ("batch_size", "eot") for value in (0, 1.5, True)),
        ({"seed": -1}, "seed: -1 is not a whole number of at least 0"),
        ({"seed": 2**63}, r"seed: 9223372036854775808 is not below 2\*\*63"),
    ],
)
def test_bad_parameters_are_named(labels, change, message):
    with pytest.raises(ValueError, match=message):
        autoattack(network(), images(), labels, **{"epsilon": 0.02, **SETTINGS, **change})


@pytest.mark.parametrize("device", ["gpu", "cuda:99", None])
def test_a_device_that_is_none_is_named(labels, device):
    with pytest.raises(EwsError, match=f"device '{device}': torch cannot compute there: .* cpu is always valid"):
        autoattack(network(), images(), labels, **{"epsilon": 0.02, **SETTINGS, "device": device})
