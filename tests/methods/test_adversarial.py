"""AT, TRADES and AWP, alone and with EWS, against plain references in float64; and what they must leave alone."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers import methods
from helpers.methods import first_view
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.methods.adversarial_objective import ADVERSARIAL
from ews.methods.awp.awp import Awp
from ews.methods.awp.awp_spec import AwpParameters
from ews.methods.component import Batch, Context, Metrics
from ews.methods.compose import Method
from ews.methods.ews.ews import Ews
from ews.models.network import Network
from ews.models.norm import running_statistics

SEED, CLASSES, SIZE = 5, 4, 10
EPSILON, STEP, STEPS = 8 / 255, 3 / 255, 4
ATTACK: dict[str, Any] = {
    "epsilon": EPSILON,
    "step_size": STEP,
    "steps": STEPS,
    "validation_steps": 5,
    "validation_step_size": 2 / 255,
    "validation_images": None,
}
AT = {"name": "at", "attack_mode": "train", **ATTACK}
TRADES = {"name": "trades", "attack_mode": "eval", "beta": 6.0, **ATTACK}
CLAMPED = {**TRADES, "clamp_start": True}
AWP = {"name": "awp", "gamma": 0.05, "warmup_epochs": 0}
EWS = methods.EWS | {"interval": 1}
OBJECTIVES = [pytest.param(AT, id="at"), pytest.param(TRADES, id="trades")]
NETWORKS = {
    "cifar_resnet": {"network": "cifar_resnet", "depth": 8, "width": 4},
    "wide_resnet": {"network": "wide_resnet", "depth": 10, "widen": 1},
}


def make_context(network: str = "cifar_resnet", *, smoothing: float = 0.0) -> Context:
    built = build_network(
        NETWORKS[network],
        classes=CLASSES,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        generator=torch_stream("test", "init"),
    ).double()
    # Running statistics that are neither the initial ones nor a batch's, so that modes differ.
    generator = torch_stream("test", "statistics")
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator, dtype=torch.float64) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator, dtype=torch.float64) + 0.5
    return Context(
        network=built.train(),
        augmentation_loss=first_view,
        seed=SEED,
        label_smoothing=smoothing,
        device=torch.device("cpu"),
    )


def make_batch(*, views: int = 1, epoch: int = 0) -> Batch:
    images = torch.rand(views, SIZE, 3, 8, 8, generator=torch_stream("test", "batch"), dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(SIZE) % CLASSES, iteration=1, epoch=epoch)


def make(context: Context, *components: dict[str, Any], epoch: int = 0) -> Method:
    method = build_method(context, *components)
    method.begin_epoch(epoch)
    return method


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: parameter.grad.clone() for name, parameter in network.named_parameters() if parameter.grad is not None
    }


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-9, atol=1e-11, msg=name)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Mean over examples of sum p log(p / q), from probabilities."""
    p, q = p.softmax(1), q.softmax(1)
    return (p * (p / q).log()).sum(1).mean()


def loss_of(name: str, network: Network, clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    """The objectives' losses as their papers print them."""
    if name == "at":
        return F.cross_entropy(network(attacked), labels)
    logits = network(clean)
    return F.cross_entropy(logits, labels) + 6.0 * kl(logits, network(attacked))


def ews_of(method: Method) -> Ews:
    (extra,) = method.extras
    assert isinstance(extra, Ews)
    return extra


def plain_attack(name: str, network: Network, images: Tensor, labels: Tensor, *, clamped: bool = False) -> Tensor:
    """PGD with its loop written out: the objective's loss, start and mode of the network."""
    reference = copy.deepcopy(network).train(name == "at")
    generator = torch_stream(SEED, "attack", 0)
    noise = torch.empty_like(images)
    if name == "at":
        found = (images + noise.uniform_(-EPSILON, EPSILON, generator=generator)).clamp(0, 1)
    else:
        found = images + 0.001 * noise.normal_(generator=generator)
        found = found.clamp(0, 1) if clamped else found
    with torch.no_grad():
        clean = reference(images)
    for _ in range(STEPS):
        found = found.detach().requires_grad_()
        value = F.cross_entropy(reference(found), labels) if name == "at" else kl(clean, reference(found))
        found = found + STEP * torch.autograd.grad(value, found)[0].sign()
        found = torch.min(torch.max(found, images - EPSILON), images + EPSILON).clamp(0, 1)
    return found.detach()


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("objective", [*OBJECTIVES, pytest.param(CLAMPED, id="trades, clamped")])
def test_the_attack_is_that_of_its_paper(objective: dict[str, Any], network: str, views: int) -> None:
    context = make_context(network)
    batch = make_batch(views=views)
    # Ends of the range, where a start lies outside of it.
    batch = replace(batch, images=(1.4 * batch.images - 0.2).clamp(0, 1))
    prepared = make(context, objective).objective.prepare(batch)
    attacked = prepared.extra[ADVERSARIAL]
    flat, repeated = batch.images.flatten(0, 1), batch.labels.repeat(views)
    expected = plain_attack(
        objective["name"], context.network, flat, repeated, clamped=objective.get("clamp_start", False)
    )
    assert attacked.shape == batch.images.shape and not attacked.requires_grad
    torch.testing.assert_close(attacked.flatten(0, 1), expected, rtol=0, atol=1e-12)
    assert attacked.min() >= 0 and attacked.max() <= 1
    assert (attacked - batch.images).abs().max() <= EPSILON + 1e-12
    # It is an attack: what it ascends is higher where it ends.
    context.network.train(objective is AT)
    with torch.no_grad():
        clean, found = (context.network(images.flatten(0, 1)) for images in (batch.images, attacked))
        labels = batch.labels.repeat(views)
        gain = F.cross_entropy(found, labels) - F.cross_entropy(clean, labels) if objective is AT else kl(clean, found)
    assert gain > 1e-3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_at_is_cross_entropy_at_the_attacked_images(smoothing: float) -> None:
    context = make_context(smoothing=smoothing)
    method, batch = make(context, AT), make_batch()
    attacked = plain_attack("at", context.network, batch.images[0], batch.labels)
    metrics = method.gradients(batch)
    found = gradients(context.network)
    context.network.zero_grad()
    logits = context.network(attacked)
    loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    loss.backward()
    assert_close(found, gradients(context.network))
    assert float(metrics["loss"]) == pytest.approx(float(loss.detach()))
    assert float(metrics["error"]) == pytest.approx(float((logits.argmax(1) != batch.labels).double().mean()))


def test_trades_loss_and_gradient() -> None:
    context = make_context()
    method, batch = make(context, TRADES), make_batch()
    attacked = plain_attack("trades", context.network, batch.images[0], batch.labels)
    metrics = method.gradients(batch)
    found = gradients(context.network)
    context.network.zero_grad()
    clean, robust = context.network(batch.images[0]), context.network(attacked)
    loss = F.cross_entropy(clean, batch.labels) + 6.0 * kl(clean, robust)
    loss.backward()
    assert_close(found, gradients(context.network))
    assert float(metrics["loss"]) == pytest.approx(float(loss.detach()))
    assert float(metrics["divergence"]) == pytest.approx(float(kl(clean, robust).detach()))
    assert float(metrics["clean_error"]) == pytest.approx(float((clean.argmax(1) != batch.labels).double().mean()))
    assert float(metrics["error"]) == pytest.approx(float((robust.argmax(1) != batch.labels).double().mean()))


def test_trades_attacks_in_full_precision_and_at_as_it_trains() -> None:
    """The first step differentiates the divergence between x and x + 0.001 z, which bfloat16 cannot tell apart."""
    for objective, same in ((TRADES, True), (AT, False)):
        found = []
        for half in (False, True):
            context = make_context()
            context.network.float()
            made = make(replace(context, bfloat16=half), objective)
            batch = made.objective.prepare(replace(make_batch(), images=make_batch().images.float()))
            found.append(batch.extra[ADVERSARIAL])
        assert torch.equal(*found) is same


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_with_ews_the_gradient_is_that_of_the_joint_loss(objective: dict[str, Any]) -> None:
    """Equation (4) for AT; for TRADES both divergences, the adversarial one by beta. Teachers get no gradient."""
    context = make_context()
    method, batch = make(context, objective, EWS), make_batch()
    attacked = plain_attack(objective["name"], context.network, batch.images[0], batch.labels)
    metrics = method.gradients(batch)
    found, network = gradients(context.network), context.network
    network.zero_grad()
    subnet = ews_of(method).subnet
    on_attacked = kl(network(attacked).detach(), network(attacked, subnet=subnet))
    if objective is AT:
        distilled = on_attacked
    else:
        clean = batch.images[0]
        distilled = kl(network(clean).detach(), network(clean, subnet=subnet)) + 6.0 * on_attacked
    (loss_of(objective["name"], network, batch.images[0], attacked, batch.labels) + 0.3 * distilled).backward()
    assert_close(found, gradients(network))
    assert float(metrics["distillation"]) == pytest.approx(float(distilled.detach()), rel=1e-5)
    assert distilled > 1e-4


@pytest.mark.parametrize(
    ("objective", "running"),
    [
        pytest.param(AT, False, id="at"),
        pytest.param(TRADES, True, id="trades"),
        pytest.param({**TRADES, "reward_mode": "eval"}, True, id="trades, eval"),
        pytest.param({**TRADES, "reward_mode": "train"}, False, id="trades, train"),
    ],
)
def test_the_reward_is_the_subnet_s_accuracy_on_the_same_attacked_images(
    objective: dict[str, Any], running: bool
) -> None:
    """By batch statistics as the released script of AT has it, by the running ones as that of TRADES."""
    context = make_context()
    method, batch = make(context, objective, {**EWS, "samples": 8}), make_batch()
    prepared = method.objective.prepare(batch)
    subnets_seen: list[Any] = []
    measured: list[float] = []
    extra = ews_of(method)
    update = extra.search.update

    def spy(reward: Callable[[list[Any]], Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        def spied(subnets: list[Any]) -> Tensor:
            values = reward(subnets)
            subnets_seen.extend(subnets)
            measured.extend(values.tolist())
            return values

        return update(spied, generator)

    extra.search.update = spy  # type: ignore[method-assign]
    extra.begin(prepared, method.objective)

    def accuracies() -> list[float]:
        images = prepared.extra[ADVERSARIAL][0]
        right = [context.network(images, subnet=subnet).argmax(1) == batch.labels for subnet in subnets_seen]
        return [float(one.double().mean()) for one in right]

    by_batch = accuracies()
    with running_statistics(context.network):
        by_running = accuracies()
    assert len(by_batch) == 8 and by_batch != by_running
    assert measured == pytest.approx(by_running if running else by_batch)


def perturbed(network: Network, loss: Tensor, gamma: float) -> dict[str, Tensor]:
    """w + gamma ||w|| g / ||g|| of each convolution and the head, by name."""
    names = [name for name, parameter in network.named_parameters() if parameter.ndim > 1]
    parameters = dict(network.named_parameters())
    slopes = torch.autograd.grad(loss, [parameters[name] for name in names])
    return {
        name: (parameters[name] + gamma * parameters[name].norm() * slope / slope.norm()).detach()
        for name, slope in zip(names, slopes, strict=True)
    }


@pytest.mark.parametrize("extras", [[], [EWS]], ids=["alone", "ews"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_awp_takes_the_gradient_at_the_perturbed_weights(objective: dict[str, Any], extras: list[Any]) -> None:
    context = make_context()
    network = context.network
    method, batch = make(context, objective, AWP, *extras), make_batch()
    other = copy.deepcopy(network)
    attacked = plain_attack(objective["name"], network, batch.images[0], batch.labels)
    before = dict(state(network))
    method.gradients(batch)

    # By hand on a copy: ascend, then differentiate the joint loss there.
    probe = copy.deepcopy(other)
    moved = perturbed(probe, loss_of(objective["name"], probe, batch.images[0], attacked, batch.labels), 0.05)
    assert set(moved) == {
        name for name, _ in network.named_parameters() if name.endswith("weight") and "norm" not in name
    }
    for name, parameter in other.named_parameters():
        if name in moved:
            parameter.data.copy_(moved[name])
            assert float((moved[name] - before[name]).norm()) == pytest.approx(0.05 * float(before[name].norm()))
    statistics = copy.deepcopy(other)
    loss = loss_of(objective["name"], other, batch.images[0], attacked, batch.labels)
    if extras:
        subnet = ews_of(method).subnet
        term = kl(other(attacked).detach(), other(attacked, subnet=subnet))
        if objective is TRADES:
            clean = batch.images[0]
            term = 6.0 * term + kl(other(clean).detach(), other(clean, subnet=subnet))
        loss = loss + 0.3 * term
    loss.backward()
    assert_close(gradients(network), gradients(other))

    # Weights are back bit for bit; statistics are those of the one training pass.
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter.detach(), before[name]), name
    with torch.no_grad():
        loss_of(objective["name"], statistics, batch.images[0], attacked, batch.labels)
    assert_close(dict(network.named_buffers()), dict(statistics.named_buffers()))


def test_awp_on_a_linear_layer_in_closed_form() -> None:
    """One layer, loss -sum(w x): the gradient is -x, so w moves by -gamma ||w|| x / ||x||."""

    class Linear:
        def __call__(self, batch: Batch) -> Any:
            loss = -(context.network.head.weight * x).sum()
            others = [module.weight.sum() for module in context.network.modules() if isinstance(module, nn.Conv2d)]
            return type("Pass", (), {"loss": loss + 0.0 * torch.stack(others).sum()})()

    context = make_context()
    x = torch.randn(context.network.head.weight.shape, generator=torch_stream("test", "x"), dtype=torch.float64)
    awp = Awp(context, AwpParameters(gamma=0.02, warmup_epochs=0))
    weight = context.network.head.weight.detach().clone()
    stem = context.network.stem.weight.detach().clone()
    seen: dict[str, Tensor] = {}

    def look(batch: Batch) -> Metrics:
        seen["head"] = context.network.head.weight.detach().clone()
        seen["stem"] = context.network.stem.weight.detach().clone()
        return {}

    awp.begin(make_batch(), Linear())  # type: ignore[arg-type]
    awp(look, make_batch())
    torch.testing.assert_close(seen["head"], weight - 0.02 * weight.norm() * x / x.norm(), rtol=1e-12, atol=0)
    # A layer without gradient stays where it is.
    assert torch.equal(seen["stem"], stem)


def test_awp_restores_float32_weights_bit_for_bit_also_after_an_error() -> None:
    context = make_context("wide_resnet")
    network = context.network.float().to(memory_format=torch.channels_last)
    method = make(context, AT, AWP)
    batch = replace(make_batch(), images=make_batch().images.float())
    for parameter in network.parameters():
        parameter.data.mul_(1 / 3)
    before = state(network)
    method.gradients(batch)
    # Adding and subtracting again would not have done it.
    change = dict(zip(method.wrappers[0].weights, method.wrappers[0].perturbation, strict=True))  # type: ignore[attr-defined]
    assert any(not torch.equal((weight + v) - v, weight) for weight, v in change.items())
    after = state(network)
    for name, _ in network.named_parameters():
        assert torch.equal(before[name], after[name]) and before[name].stride() == after[name].stride(), name

    def fails(batch: Batch) -> Metrics:
        assert any(not torch.equal(weight, after[name]) for name, weight in network.named_parameters())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.wrappers[0](fails, batch)
    assert_same(state(network), after)


def test_awp_waits_for_its_warmup() -> None:
    found = {}
    for name, components, epoch in (
        ("plain", [AT], 1),
        ("during", [AT, {**AWP, "warmup_epochs": 2}], 1),
        ("after", [AT, {**AWP, "warmup_epochs": 2}], 2),
        ("plain after", [AT], 2),
    ):
        context = make_context()
        make(context, *components, epoch=epoch).gradients(make_batch(epoch=epoch))
        found[name] = gradients(context.network)
    assert_same(found["during"], found["plain"])
    assert not torch.equal(found["after"]["stem.weight"], found["plain after"]["stem.weight"])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_attacks_leave_the_network_alone(objective: dict[str, Any], mode: str) -> None:
    context = make_context("wide_resnet")
    method = make(context, {**objective, "attack_mode": mode}, AWP, {**EWS, "search": "gradient"})
    batch = make_batch()
    kept = torch.ones_like(context.network.head.weight)
    context.network.head.weight.grad = kept.clone()
    before, drawn = state(context.network), torch.get_rng_state()
    prepared = method.objective.prepare(batch)
    method.objective.validation_images(batch.images[0], batch.labels, 0)
    method.wrappers[0].begin(prepared, method.objective)
    assert_same(state(context.network), before)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(module.training for module in context.network.modules())
    assert {name for name, p in context.network.named_parameters() if p.grad is not None} == {"head.weight"}
    assert torch.equal(context.network.head.weight.grad, kept)
    # The search by gradients sees the loss's backward pass alone.
    assert context.network.take_effects() is None
    method.gradients(batch)
    assert ews_of(method).search.state_dict()["channels"] is not None
    # And a training pass still updates the statistics.
    assert not torch.equal(context.network.norm.running_mean, before["norm.running_mean"])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_of_random_state_only_masks_of_dropout_in_training_mode_are_drawn(objective: dict[str, Any], mode: str) -> None:
    dropout = {"name": "dropout", "rate": 0.3, "place": "hidden"}
    method = make(make_context("wide_resnet"), dropout, {**objective, "attack_mode": mode}, AWP)
    (awp,) = method.wrappers
    assert isinstance(awp, Awp)
    batch = make_batch()
    network = awp.context.network
    weights = state(network)

    def draws(attack: Callable[[], object]) -> bool:
        before = torch.get_rng_state()
        attack()
        return not torch.equal(torch.get_rng_state(), before)

    assert draws(lambda: method.objective.prepare(batch)) == (mode == "train")
    assert not draws(lambda: method.objective.validation_images(batch.images[0], batch.labels, 0))
    # As functions of the epoch, which the training seeds the global generator by.
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        method.begin_epoch(0)
        found.append(method.objective.prepare(batch))
    same = [torch.equal(found[0].extra[ADVERSARIAL], one.extra[ADVERSARIAL]) for one in found[1:]]
    assert same == [True, mode == "eval"]
    assert draws(lambda: awp.begin(found[0], method.objective))
    # Masks of its own: found again on the same batch at the same weights, v is another.
    first = awp.perturbation
    awp.begin(found[0], method.objective)
    assert first is not None and awp.perturbation is not None
    assert not torch.equal(first[0], awp.perturbation[0])
    assert_same(state(network), weights)


def test_starts_are_functions_of_seed_and_epoch() -> None:
    def attacked(epoch: int, *, before: int = 0) -> Tensor:
        method = make(make_context(), AT)
        for _ in range(before):
            method.objective.prepare(make_batch())
        method.begin_epoch(epoch)
        return method.objective.prepare(make_batch()).extra[ADVERSARIAL]

    assert torch.equal(attacked(1), attacked(1, before=2))
    assert not torch.equal(attacked(1), attacked(2))
    method = make(make_context(), AT)
    batch = make_batch()
    shown = [method.objective.validation_images(batch.images[0], batch.labels, number) for number in (0, 0, 1)]
    assert torch.equal(shown[0], shown[1]) and not torch.equal(shown[0], shown[2])


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({**AT, "epsilon": 8.0}, r"epsilon\n.* less than or equal to 1"),
        ({**AT, "epsilon": float("nan")}, r"epsilon\n.* finite"),
        ({**AT, "steps": 0}, r"(?m)^steps$"),
        ({**AT, "step_size": 0.0}, r"(?m)^step_size$"),
        ({**AT, "validation_steps": 0}, r"(?m)^validation_steps$"),
        ({**TRADES, "attack_mode": "both"}, "'train' or 'eval'"),
        ({**TRADES, "beta": -1.0}, r"(?m)^beta$"),
        ({**AWP, "gamma": -0.1}, r"(?m)^gamma$"),
        ({**AWP, "warmup_epochs": -1}, r"(?m)^warmup_epochs$"),
    ],
)
def test_bad_parameters_are_refused(component: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(make_context(), component)


def test_two_objectives_are_refused() -> None:
    with pytest.raises(EwsError, match="at and trades are both objectives"):
        make(make_context(), AT, TRADES)
