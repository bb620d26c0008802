"""AW-Net's loss, its moving weights, and what it shares with wrappers, against references in float64."""

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_method, build_network
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.methods.adversarial_objective import ADVERSARIAL
from ews.methods.awnet import awnet
from ews.methods.awnet.awnet import Awnet
from ews.methods.awnet.awnet_spec import AwnetParameters
from ews.methods.component import Batch, Context
from ews.methods.compose import Method
from ews.models.awnet.awnet import routing
from ews.models.network import Network
from ews.pipeline.study.methods import components
from ews.subnets.distil import kl_divergence

SEED, CLASSES, SIZE = 5, 4, 6
EPSILON, STEP, STEPS = 8 / 255, 3 / 255, 3
BACKBONE = {"network": "cifar_resnet", "depth": 8, "width": 4}
AWNET: dict[str, Any] = {
    **{"name": "awnet", "weight_rate": 0.1, "type_weight": 0.7, "divergence_weight": 0.4},
    **{"epsilon": EPSILON, "step_size": STEP, "steps": STEPS, "attack_mode": "eval", "start": "gaussian"},
    **{"validation_steps": 4, "validation_step_size": 2 / 255, "validation_images": None},
    "teachers": {role: {"run": role, "weights": "last", "architecture": BACKBONE} for role in ("clean", "robust")},
}
WRAPPERS: list[dict[str, Any]] = [
    {"name": "awp", "gamma": 0.05, "warmup_epochs": 0},
    {"name": "damp", "sigma": 0.2, "sub_batches": 2, "gradient": "perturbed", "form": "sequential"},
    {"name": "sam", "rho": 0.05, "sub_batches": 2, "statistics": "part"},
    {"name": "asam", "rho": 0.5, "sub_batches": 2},
]


def build(*, dynamic: bool, key: str = "student") -> Network:
    architecture = {**BACKBONE, **({"dynamic": {"name": "awnet", "extractor": [4, 6]}} if dynamic else {})}
    scale = {"mean": [0.5] * 3, "std": [0.2] * 3}
    return build_network(architecture, classes=CLASSES, **scale, generator=torch_stream("test", key)).double()


def move_statistics(network: Network, key: str) -> None:
    """Running statistics that are neither the first ones nor a batch's."""
    generator = torch_stream("test", key)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator, dtype=torch.float64)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=generator, dtype=torch.float64)


def unused(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    raise AssertionError("the loss of views has no part in distillation")


def make_context(**changes: Any) -> Context:
    teachers = {}
    for role in ("clean", "robust"):
        teachers[role] = build(dynamic=False, key=role).eval().requires_grad_(False)
        move_statistics(teachers[role], role)
    student = build(dynamic=True)
    move_statistics(student, "student")
    given: dict[str, Any] = {
        **{"network": student.train(), "augmentation_loss": unused, "seed": SEED, "label_smoothing": 0.0},
        **{"device": torch.device("cpu"), "teachers": teachers},
    }
    return Context(**(given | changes))


def make(context: Context, *wrappers: dict[str, Any], **changes: Any) -> Method:
    method = build_method(context, AWNET | changes, *wrappers)
    method.begin_epoch(0)
    return method


def objective(method: Method) -> Awnet:
    assert isinstance(method.objective, Awnet)
    return method.objective


def make_batch(number: int = 0, *, views: int = 1) -> Batch:
    images = torch.rand(views, SIZE, 3, 8, 8, generator=torch_stream("test", "batch", number), dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(SIZE) % CLASSES, iteration=number + 1, epoch=0)


def kl(p: Tensor, q: Tensor) -> Tensor:
    p, q = p.softmax(1), q.softmax(1)
    return (p * (p / q).log()).sum(1).mean()


def ascended(network: Network, images: Tensor, labels: Tensor, start: Tensor, steps: int, size: float) -> Tensor:
    """PGD with its loop written out, in evaluation mode."""
    network = copy.deepcopy(network).eval()
    found = images + start
    for _ in range(steps):
        found = found.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(found), labels), found)
        found = found + size * gradient.sign()
        found = torch.min(torch.max(found, images - EPSILON), images + EPSILON).clamp(0, 1)
    return found.detach()


def uniform(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return how far from the images to start: uniform in the ball, within [0, 1]."""
    noise = torch.empty_like(images).uniform_(-EPSILON, EPSILON, generator=generator)
    return (images + noise).clamp(0, 1) - images


def gaussian(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return how far from the images MTARD starts, wherever that is."""
    return 0.001 * torch.empty_like(images).normal_(generator=generator)


@pytest.mark.parametrize("begin", [uniform, gaussian])
@pytest.mark.parametrize("views", [1, 3])
def test_the_attack_is_pgd_on_the_whole_network_and_each_teacher_sees_its_images(
    views: int, begin: Callable[[Tensor, torch.Generator], Tensor]
) -> None:
    context, batch = make_context(), make_batch(views=views)
    # Ends of the range, where a start lies outside of it.
    batch = replace(batch, images=(1.4 * batch.images - 0.2).clamp(0, 1))
    with torch.no_grad():
        # A router that says something: else nothing tells whether the attack saw it.
        for head in context.network.router.signal_heads:
            nn.init.normal_(head.weight, generator=torch_stream("test", "heads"))
    before = copy.deepcopy(context.network.state_dict())
    prepared = objective(make(context, start=begin.__name__)).prepare(batch)
    images, labels = batch.images.flatten(0, 1), batch.labels.repeat(views)
    start = begin(images, torch_stream(SEED, "attack", 0))
    expected = ascended(context.network, images, labels, start, STEPS, STEP)
    attacked = prepared.extra[ADVERSARIAL]
    torch.testing.assert_close(attacked.flatten(0, 1), expected, rtol=0, atol=1e-12)
    for role, shown in (("clean", batch.images), ("robust", attacked)):
        with torch.no_grad():
            answer = context.teachers[role](shown.flatten(0, 1))
        torch.testing.assert_close(prepared.extra[role].flatten(0, 1), answer)
        assert prepared.extra[role].shape == (views, SIZE, CLASSES) and not prepared.extra[role].requires_grad
    assert context.network.training and not context.teachers["clean"].training
    assert all(torch.equal(value, before[name]) for name, value in context.network.state_dict().items())
    # A detached router leads another way: the attack goes through it.
    blind = copy.deepcopy(context.network)
    route = blind.router.forward
    blind.router.forward = lambda x: route(x.detach())
    assert not torch.equal(ascended(blind, images, labels, start, STEPS, STEP), expected)


@pytest.mark.parametrize("views", [1, 2])
def test_the_gradient_is_that_of_the_loss_as_printed(views: int) -> None:
    """While omega = 1 the types meet in the router alone: two passes of the backbone, and the router on both."""
    context, batch = make_context(), make_batch(views=views)
    twin = copy.deepcopy(context.network)
    method = make(context)
    prepared = objective(method).prepare(batch)
    images, attacked = batch.images.flatten(0, 1), prepared.extra[ADVERSARIAL].flatten(0, 1)
    method.begin_epoch(0)
    metrics = method.gradients(batch)
    backbones = [build(dynamic=False).train() for _ in range(2)]
    losses = []
    for backbone, role, shown in zip(backbones, ("clean", "robust"), (images, attacked), strict=True):
        losses.append(kl(context.teachers[role](shown), backbone(shown)))
    _, types = twin.router.train()((torch.cat([images, attacked]) - 0.5) / 0.2)
    kinds = torch.tensor([0] * len(images) + [1] * len(images))
    loss = 0.4 * (0.5 * losses[0] + 0.5 * losses[1]) + 0.7 * F.cross_entropy(types, kinds)
    loss.backward()
    found = {name: parameter.grad for name, parameter in context.network.named_parameters()}
    first, second = ({name: p.grad for name, p in backbone.named_parameters()} for backbone in backbones)
    for name, gradient in found.items():
        if ".clean." in name or ".adversarial." in name:
            expected = (first if ".clean." in name else second)[name.replace(".clean", "").replace(".adversarial", "")]
        elif name.startswith("router."):
            if "signal" in name:
                continue  # Zero as they are, they have a gradient nonetheless.
            expected = twin.get_parameter(name).grad
        else:
            expected = first[name] + second[name]
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12, msg=name)
    assert all(float(found[f"router.signal_heads.{block}.weight"].abs().sum()) > 0 for block in range(3))
    assert float(metrics["loss"]) == pytest.approx(float(loss.detach()))
    assert float(metrics["clean_divergence"]) == pytest.approx(float(losses[0].detach()))
    assert float(metrics["robust_divergence"]) == pytest.approx(float(losses[1].detach()))
    assert float(metrics["type_error"]) == pytest.approx(float((types.argmax(1) != kinds).double().mean()))
    assert all(parameter.grad is None for teacher in context.teachers.values() for parameter in teacher.parameters())


def mtard(student: Tensor, teacher: Tensor) -> Tensor:
    """Return what MTARD's code takes for the divergence of a batch: a mean over examples and classes.

    With 1e-5 in the teacher's logarithm; on the 100 classes of CIFAR-100 ten times that mean.
    """
    classes = student.shape[1]
    answer, truth = student.softmax(1), teacher.softmax(1)
    total = torch.zeros((), dtype=student.dtype)
    for example in range(len(student)):
        for c in range(classes):
            total = total + truth[example, c] * ((truth[example, c] + 1e-5).log() - answer[example, c].log())
    return (10 if classes == 100 else 1) * total / (len(student) * classes)


@pytest.mark.parametrize("classes", [10, 100])
def test_at_a_weight_of_a_tenth_the_divergences_are_mtard_s(classes: int) -> None:
    """On both CIFARs: the same gradient, and values that the 1e-5 alone sets apart, by at most 1e-5 for each class."""
    generator = torch_stream("test", "logits", classes)
    student, teacher = (3 * torch.randn(5, classes, generator=generator, dtype=torch.float64) for _ in range(2))
    student.requires_grad_()
    default = AwnetParameters().divergence_weight
    ours, theirs = default * kl_divergence(teacher, student).mean(), mtard(student, teacher)
    slopes = [torch.autograd.grad(value, student)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-14)
    assert 0 < float((theirs - ours).detach()) <= 0.1 * classes * 1e-5


def test_the_divergences_weight_moves_neither_their_weights_nor_the_types_part() -> None:
    """The loss is linear in it; the rule of the weights has shares of losses alone."""
    found = []
    for weight in (0.0, 0.1, 1.0):
        context = make_context()
        method = make(context, divergence_weight=weight)
        metrics = method.gradients(make_batch())
        found.append((metrics, context.network.stem.weight.grad, context.network.router.extractor[0].weight.grad))
    assert float(found[0][1].abs().sum()) == 0 < float(found[0][2].abs().sum())
    torch.testing.assert_close(found[1][1], 0.1 * found[2][1])
    torch.testing.assert_close(found[1][2] - found[0][2], 0.1 * (found[2][2] - found[0][2]))
    for name in ("clean_divergence", "robust_divergence", "clean_weight"):
        assert torch.equal(found[1][0][name], found[2][0][name])
    weights = []
    for weight in (0.1, 1.0):
        context = make_context()
        method = make(context, divergence_weight=weight)
        for number in range(3):  # The network stays as it is: the same losses.
            method.gradients(make_batch(number))
        weights.append(method.state_dict()["awnet"]["weights"])
    assert torch.equal(*weights) and weights[0].tolist() != [0.5, 0.5]


def moved(losses: list[tuple[float, float]], rates: list[float]) -> list[float]:
    """MTARD's weight of the clean loss before each step and after the last."""
    weights = [0.5]
    for (clean, robust), rate in zip(losses, rates, strict=True):
        relative = clean / losses[0][0], robust / losses[0][1]
        weights.append(weights[-1] - rate * (weights[-1] - relative[0] / sum(relative)))
    return weights


def test_the_weights_follow_the_losses_at_the_learning_rate_s_pace() -> None:
    context = make_context(schedule=lambda epoch: [1.0, 0.1][epoch])
    method = make(context)
    optimizer = torch.optim.SGD(context.network.parameters(), lr=0.05)
    losses, weights = [], []
    for epoch in range(2):
        method.begin_epoch(epoch)
        for number in range(3):
            metrics = method.gradients(make_batch(number))
            optimizer.step()
            optimizer.zero_grad()
            losses.append((float(metrics["clean_divergence"]), float(metrics["robust_divergence"])))
            weights.append(float(metrics["clean_weight"]))
    expected = moved(losses, [0.1] * 3 + [0.01] * 3)
    assert weights == pytest.approx(expected[:-1], rel=1e-12)
    assert weights[:2] == [0.5, 0.5] and len({round(weight, 9) for weight in weights}) == 5
    state = method.state_dict()["awnet"]
    assert state["weights"].tolist() == pytest.approx([expected[-1], 1 - expected[-1]], rel=1e-12)


def test_the_weights_are_those_of_the_loss() -> None:
    """The gradient under other weights, all else alike, is the other combination of the two parts."""
    gradients = []
    for weights in ([1.0, 0.0], [0.0, 1.0], [0.3, 0.7]):
        context = make_context()
        method = make(context, type_weight=0.0)
        objective(method).load_state_dict(
            {"weights": torch.tensor(weights, dtype=torch.float64), "first": torch.ones(2, dtype=torch.float64)}
        )
        method.gradients(make_batch())
        gradients.append(context.network.stem.weight.grad)
    torch.testing.assert_close(0.3 * gradients[0] + 0.7 * gradients[1], gradients[2])
    assert not torch.allclose(gradients[0], gradients[1])


def test_a_restored_objective_goes_on_with_the_same_weights() -> None:
    context = make_context()
    method = make(context)
    for number in range(3):
        method.gradients(make_batch(number))
    stored = copy.deepcopy(method.state_dict())
    other = make(replace(context, network=copy.deepcopy(context.network)))
    other.load_state_dict(stored)
    found = []
    for one in (method, other):
        one.begin_epoch(1)
        found.append([float(one.gradients(make_batch(number))["clean_weight"]) for number in range(3, 6)])
    assert found[0] == found[1] and found[0][0] != 0.5


def test_equal_student_and_teachers_leave_the_weights_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make(make_context())
    module = sys.modules[type(objective(method)).__module__]
    monkeypatch.setattr(module, "kl_divergence", lambda teacher, student: 0 * student.sum(1))
    for number in range(3):
        method.gradients(make_batch(number))
    weights = objective(method).state_dict()["weights"]
    assert weights.isfinite().all() and float(weights.sum()) == 1


class Synchronised(TorchDispatchMode):
    """Counts how often the host asks for a tensor's value."""

    asked = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.asked += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_no_step_waits_for_the_device() -> None:
    method = make(make_context())
    with Synchronised() as mode:
        for number in range(3):
            method.gradients(make_batch(number))
        assert mode.asked == 0
        float(torch.ones(()))
        assert mode.asked == 1


@pytest.mark.parametrize("recent", [1, 2 * SIZE, 2 * SIZE + 1, 1024])
def test_after_an_epoch_the_router_s_statistics_are_those_of_its_last_images(
    recent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of as few of the last steps as show enough images, both types together, at the weights of the epoch's end."""
    monkeypatch.setattr(awnet, "RECENT", recent)
    context = make_context()
    network, method = context.network, make(context)
    shown: list[Tensor] = []
    attack = objective(method).attack
    for number in range(4):
        batch = make_batch(number)
        seen: list[Tensor] = []

        def watched(images: Tensor, labels: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(attack(images, labels))
            return seen[-1]

        objective(method).attack = watched  # type: ignore[method-assign]
        method.gradients(batch)
        shown.append(torch.cat([batch.images[0], *seen]))
        with torch.no_grad():
            network.router.extractor[0].weight.mul_(1.1)
    momenta = [norm.momentum for norm in network.router.extractor if isinstance(norm, nn.BatchNorm2d)]
    branches = {name: value.clone() for name, value in network.state_dict().items() if "router" not in name}
    method.end_epoch()
    steps = {1: 1, 2 * SIZE: 1, 2 * SIZE + 1: 2, 1024: 4}[recent]
    value = (torch.cat(shown[-steps:]) - network.mean) / network.std
    for layer in network.router.extractor:
        if isinstance(layer, nn.BatchNorm2d):
            torch.testing.assert_close(layer.running_mean, value.mean((0, 2, 3)), rtol=0, atol=1e-12)
            torch.testing.assert_close(layer.running_var, value.var((0, 2, 3)), rtol=0, atol=1e-12)
            assert layer.training
            value = F.batch_norm(value, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
        else:
            value = layer(value)
    assert momenta == [norm.momentum for norm in network.router.extractor if isinstance(norm, nn.BatchNorm2d)]
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in branches.items())
    # An epoch begins with none of the last one's images.
    before = network.router.extractor[1].running_mean.clone()
    method.end_epoch()
    assert torch.equal(before, network.router.extractor[1].running_mean)


def test_the_best_epoch_is_selected_under_attacks_on_the_whole_network() -> None:
    context, batch = make_context(), make_batch()
    images, labels = batch.images[0], batch.labels
    method = make(context)
    context.network.eval()
    found = method.objective.validation_images(images, labels, 3)
    start = uniform(images, torch_stream(SEED, "validation attack", 3))
    expected = ascended(context.network, images, labels, start, 4, 2 / 255)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda wrapper: wrapper["name"])
def test_wrappers_take_its_gradient_elsewhere_and_leave_the_weights_alone(wrapper: dict[str, Any]) -> None:
    plain, context = make_context(), make_context()
    before = copy.deepcopy(dict(context.network.named_parameters()))
    make(plain).gradients(make_batch())
    method = make(context, wrapper)
    metrics = method.gradients(make_batch())
    assert all(value.isfinite() for value in metrics.values())
    differs = 0
    for name, parameter in context.network.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        differs += not torch.allclose(parameter.grad, plain.network.get_parameter(name).grad, rtol=1e-4)
    assert differs > 20
    # However often the loss was computed, the weights moved once, by its mean.
    found = objective(method).state_dict()
    assert found["first"].isfinite().all() and found["weights"].tolist() == [0.5, 0.5]


def test_awp_finds_its_weights_on_this_loss() -> None:
    """v = gamma |w| g / |g| of AW-Net's loss; the gradient is that at w + v."""
    context, batch = make_context(), make_batch()
    wrapped = make(context, WRAPPERS[0])
    wrapped.gradients(batch)
    other = make_context()
    plain = make(other)
    plain.gradients(batch)
    network = other.network
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                weight, gradient = module.weight, module.weight.grad
                weight += 0.05 * weight.norm() * gradient / gradient.norm().clamp(min=1e-30)
    network.zero_grad()
    # The images of the attack at the unchanged weights.
    attacked = make(make_context())
    objective(plain)(objective(attacked).prepare(batch)).loss.backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(
            context.network.get_parameter(name).grad, parameter.grad, rtol=1e-7, atol=1e-10, msg=name
        )


def test_the_router_learns_to_tell_the_types_apart() -> None:
    context = make_context()
    # What an attack changes is visible where nothing else varies: plain grey images.
    batch = replace(make_batch(), images=torch.full((1, SIZE, 3, 8, 8), 0.5, dtype=torch.float64))
    method = make(context, start="uniform")
    optimizer = torch.optim.SGD(context.network.parameters(), lr=0.1, momentum=0.9)
    errors = []
    for _ in range(60):
        errors.append(float(method.gradients(batch)["type_error"]))
        optimizer.step()
        optimizer.zero_grad()
    assert errors[0] > 0.2 and max(errors[-5:]) < 0.1
    attacked = objective(method).prepare(batch).extra[ADVERSARIAL][0]
    context.network.eval()
    with torch.no_grad(), routing(context.network) as call:
        context.network(torch.cat([batch.images[0], attacked]))
    assert call.types is not None
    # Also in evaluation, by the running statistics.
    assert (call.types.argmax(1) == torch.tensor([0] * SIZE + [1] * SIZE)).double().mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_rate": 1.0}, "weight_rate"),
        ({"type_weight": -1.0}, "type_weight"),
        ({"divergence_weight": -0.1}, "divergence_weight"),
        ({"start": "none"}, "'uniform' or 'gaussian'"),
        ({"attack_mode": "test"}, "attack_mode"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(make_context(), **changes)


def test_a_network_without_router_and_a_missing_teacher_are_refused() -> None:
    with pytest.raises(EwsError, match="no router"):
        make(make_context(network=build(dynamic=False)))
    context = make_context()
    with pytest.raises(EwsError, match="needs the teachers clean and robust"):
        make(replace(context, teachers={"clean": context.teachers["clean"]}))


def test_what_does_not_combine_is_refused_with_the_reason() -> None:
    with pytest.raises(EwsError, match="awnet and ews do not combine: a subnet is a slice of fixed weights"):
        components("awnet+ews")
    with pytest.raises(EwsError, match="trades and awnet are both objectives"):
        components("trades+awnet")
    for wrapper in WRAPPERS:
        found = components(f"awnet+{wrapper['name']}")
        assert [spec.name for spec in found] == ["awnet", wrapper["name"]]
