"""MixACM against a reference in float64 that knows nothing of hooks; its mixtures; and what it must leave alone."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import methods
from helpers.methods import first_view
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.augment.augmix.augmix import jensen_shannon
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.methods import parts
from ews.methods.at.at import At
from ews.methods.at.at_spec import AtParameters
from ews.methods.channel_maps import channel_map, distance, stage_ends, watched
from ews.methods.component import Batch, Context
from ews.methods.compose import Method
from ews.methods.ews.ews import Ews
from ews.methods.mixacm.mixacm import MIXED, PARTNER, SHARE, Mixacm
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.network import Network

SEED, CLASSES, SIZE = 5, 4, 10
MIXACM: dict[str, Any] = {
    "name": "mixacm",
    "teachers": {"robust": {"run": "a/b/c/d/seed0"}},
    "mixup": 1.0,
    "soft_weight": 0.3,
    "temperature": 3.0,
    "acm_weight": 7.0,
    "stages": [-3, -2, -1],
    "validation_epsilon": 8 / 255,
    "validation_steps": 3,
    "validation_step_size": 3 / 255,
    "validation_images": None,
}
EWS = methods.EWS | {"interval": 1}
NETWORKS = {
    "cifar_resnet": {"network": "cifar_resnet", "depth": 8, "width": 4},
    "wider": {"network": "cifar_resnet", "depth": 8, "width": 6},
    "deeper": {"network": "cifar_resnet", "depth": 14, "width": 4},
    "wide_resnet": {"network": "wide_resnet", "depth": 10, "widen": 1},
    "resnet": {"network": "resnet", "depth": 18, "width": 2},
    "wider resnet": {"network": "resnet", "depth": 18, "width": 3},
    "resnet50": {"network": "resnet", "depth": 50, "width": 2},
    "preact_resnet": {"network": "preact_resnet", "depth": 18, "width": 2},
}


def build(name: str, key: str) -> Network:
    built = build_network(
        NETWORKS[name], classes=CLASSES, mean=[0.5] * 3, std=[0.2] * 3, generator=torch_stream("test", "init", key)
    ).double()
    generator = torch_stream("test", "statistics", key)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator, dtype=torch.float64) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator, dtype=torch.float64) + 0.5
    return built


def augmix(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return cross_entropy(logits[0], labels) + 12.0 * jensen_shannon(logits)


def make_context(student: str = "cifar_resnet", teacher: str = "cifar_resnet", **keys: Any) -> Context:
    return Context(
        **{
            "network": build(student, "student").train(),
            "augmentation_loss": first_view,
            "seed": SEED,
            "label_smoothing": 0.0,
            "device": torch.device("cpu"),
            "teachers": {"robust": build(teacher, "teacher").eval().requires_grad_(False)},
            **keys,
        }
    )


def make_batch(*, views: int = 1) -> Batch:
    images = torch.rand(views, SIZE, 3, 8, 8, generator=torch_stream("test", "batch"), dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(SIZE) % CLASSES, iteration=1, epoch=0)


def make(context: Context, *extras: dict[str, Any], epoch: int = 0, **changed: Any) -> Method:
    method = build_method(context, {**MIXACM, **changed}, *extras)
    method.begin_epoch(epoch)
    return method


def objective_of(method: Method) -> Mixacm:
    assert isinstance(method.objective, Mixacm)
    return method.objective


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-9, atol=1e-12, msg=name)


def plain(network: Network, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """All blocks' outputs and the logits, layer by layer."""
    x = network.stem((images - network.mean) / network.std)
    if not network.preactivation:
        x = F.relu(network.norm(x))
    outputs = []
    for block in network.blocks:
        x = block(x)
        outputs.append(x)
    if network.preactivation:
        x = F.relu(network.norm(x))
    return outputs, network.head(x.mean((2, 3)))


def reference(
    context: Context, batch: Batch, share: float, partner: Tensor, matching: list[Tensor | None]
) -> dict[str, Tensor]:
    """The three terms written out; sums over examples in place of means of library functions."""
    mixed = share * batch.images[0] + (1 - share) * batch.images[0][partner]
    outputs, logits = plain(context.network, mixed)
    with torch.no_grad():
        taught, wanted = plain(context.teachers["robust"], mixed)
    smooth = context.label_smoothing
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    smoothed = (1 - smooth) * log_p + smooth * log_p.mean(1, keepdim=True)
    rows = torch.arange(SIZE)
    picked = share * smoothed[rows, batch.labels] + (1 - share) * smoothed[rows, batch.labels[partner]]
    p = torch.softmax(wanted / MIXACM["temperature"], 1)
    q = torch.softmax(logits / MIXACM["temperature"], 1)
    acm = torch.zeros((), dtype=torch.float64)
    ends, taught_ends = (stage_ends(network) for network in (context.network, context.teachers["robust"]))
    for place, stage in enumerate((-3, -2, -1)):
        mine = outputs[ends[stage]].abs().sum((2, 3)) / outputs[ends[stage]][0, 0].numel()
        weight = matching[place]
        mine = mine if weight is None else mine @ weight.double().T
        theirs = taught[taught_ends[stage]].abs().sum((2, 3)) / taught[taught_ends[stage]][0, 0].numel()
        mine = mine / mine.pow(2).sum(1, keepdim=True).sqrt()
        theirs = theirs / theirs.pow(2).sum(1, keepdim=True).sqrt()
        acm = acm + (mine - theirs).pow(2).sum(1).sqrt().sum() / SIZE
    return {
        "mixup_loss": -picked.sum() / SIZE,
        "soft_loss": MIXACM["temperature"] ** 2 * (p * (p / q).log()).sum() / SIZE,
        "acm_loss": acm,
        "logits": logits,
        "mixed": mixed,
    }


def drawn(method: Method, batch: Batch) -> tuple[float, Tensor]:
    """The share and the permutation that the method will use first, from its documented stream."""
    stream = numpy_stream(objective_of(method).context.seed, "mixup", batch.epoch)
    share = stream.beta(MIXACM["mixup"], MIXACM["mixup"])
    return max(share, 1 - share), torch.from_numpy(stream.permutation(len(batch.labels)))


PAIRS = [
    ("cifar_resnet", "deeper"),
    ("cifar_resnet", "wider"),
    ("wide_resnet", "wide_resnet"),
    ("wide_resnet", "resnet"),
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("student", "teacher"), PAIRS)
def test_the_loss_and_its_gradient_are_those_of_the_formula(student: str, teacher: str, smoothing: float) -> None:
    context = make_context(student, teacher, label_smoothing=smoothing)
    method, batch = make(context), make_batch()
    share, partner = drawn(method, batch)
    matching = objective_of(method).matching
    metrics = method.gradients(batch)
    found = gradients(context.network)
    for weight in method.parameters():
        found[f"matching {tuple(weight.shape)}"] = weight.grad.clone().double()  # type: ignore[union-attr]
        weight.grad = None
    context.network.zero_grad()
    terms = reference(context, batch, share, partner, list(matching))
    (0.7 * terms["mixup_loss"] + 0.3 * terms["soft_loss"] + 7.0 * terms["acm_loss"]).backward()
    expected = gradients(context.network)
    for weight in method.parameters():
        expected[f"matching {tuple(weight.shape)}"] = weight.grad.clone().double()  # type: ignore[union-attr]
    for name in ("mixup_loss", "soft_loss", "acm_loss"):
        assert float(metrics[name]) == pytest.approx(float(terms[name].detach()), rel=1e-10), name
        assert float(metrics[name]) > 1e-3
    own = {name for name in found if name.startswith("matching")}
    # The learned maps are float32 parameters.
    for name in own:
        torch.testing.assert_close(found.pop(name), expected.pop(name), rtol=1e-5, atol=1e-7)
    assert_close(found, expected)
    assert bool(own) == (student != teacher and teacher != "deeper")


@pytest.mark.parametrize("network", ["cifar_resnet", "wide_resnet", "resnet", "preact_resnet"])
def test_channel_maps_agree_exactly_where_the_student_is_the_teacher(network: str) -> None:
    context = make_context(network, network)
    context.network.load_state_dict(context.teachers["robust"].state_dict())
    method = make(context)
    prepared = method.objective.prepare(make_batch())
    # Both by the running statistics: in training the student normalises by the batch.
    context.network.eval()
    full = method.objective(prepared)
    assert float(full.metrics["acm_loss"]) == 0.0
    assert float(full.metrics["soft_loss"]) == 0.0
    full.loss.backward()
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(context.network).values())
    with torch.no_grad():
        for parameter in context.network.blocks[0].parameters():
            parameter.mul_(1.1)
    assert float(method.objective(prepared).metrics["acm_loss"]) > 1e-4


def test_the_augmentation_joins_views_that_are_mixed_alike() -> None:
    context = make_context(augmentation_loss=augmix)
    method, batch = make(context, acm_weight=0.0, soft_weight=0.0), make_batch(views=3)
    share, partner = drawn(method, batch)
    metrics = method.gradients(batch)
    mixed = share * batch.images + (1 - share) * batch.images[:, partner]
    logits = context.network(mixed.flatten(0, 1)).unflatten(0, (3, SIZE))
    expected = share * F.cross_entropy(logits[0], batch.labels) + 12.0 * jensen_shannon(logits)
    expected = expected + (1 - share) * F.cross_entropy(logits[0], batch.labels[partner])
    assert float(metrics["loss"]) == pytest.approx(float(expected.detach()), rel=1e-6)


@pytest.mark.parametrize(
    ("teacher", "shapes"),
    [
        ("deeper", []),
        ("wider", [(6, 4), (12, 8), (24, 16)]),
        ("resnet", []),
        ("wider resnet", [(6, 4), (12, 8), (24, 16)]),
        ("wide_resnet", [(16, 4), (32, 8), (64, 16)]),
    ],
)
def test_channels_are_matched_where_their_numbers_differ(teacher: str, shapes: list[tuple[int, int]]) -> None:
    """The last three of ResNet-18's four stages have 4, 8 and 16 channels at width 2, and 6, 12 and 24 at width 3."""
    context = make_context("cifar_resnet", teacher)
    method = make(context)
    assert [tuple(weight.shape) for weight in method.parameters()] == shapes
    again, other = make(make_context("cifar_resnet", teacher)), make(make_context("cifar_resnet", teacher, seed=6))
    for one, same, different in zip(method.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same) and not torch.equal(one, different)
        assert float(one.detach().abs().max()) <= one.shape[1] ** -0.5
    method.gradients(make_batch())
    assert all(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in method.parameters())


def test_learned_maps_are_trained_saved_and_restored() -> None:
    context = make_context("cifar_resnet", "wider")
    method = make(context)
    before = [weight.detach().clone() for weight in method.parameters()]
    optimizer = torch.optim.SGD([*context.network.parameters(), *method.parameters()], lr=0.1)
    method.gradients(make_batch())
    optimizer.step()
    trained = [weight.detach().clone() for weight in method.parameters()]
    assert all(not torch.equal(one, other) for one, other in zip(before, trained, strict=True))
    fresh = make(make_context("cifar_resnet", "wider", seed=9))
    fresh.load_state_dict(copy.deepcopy(method.state_dict()))
    for weight, expected in zip(fresh.parameters(), trained, strict=True):
        assert torch.equal(weight, expected) and weight.requires_grad


def test_the_teacher_stays_as_it_is() -> None:
    context = make_context()
    teacher = context.teachers["robust"]
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    method = make(context, EWS)
    method.gradients(make_batch())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not any(module.training for module in teacher.modules())


def test_the_teacher_s_answers_carry_no_graph() -> None:
    prepared = make(make_context()).objective.prepare(make_batch())
    assert not any(value.requires_grad for value in prepared.extra.values())


def constant_images(count: int) -> Batch:
    """Image i is i / count everywhere, its label i."""
    images = (torch.arange(count, dtype=torch.float64) / count).view(1, count, 1, 1, 1).expand(2, count, 3, 4, 4)
    return Batch(images=images.contiguous(), labels=torch.arange(count), iteration=1, epoch=0)


def test_mixtures_are_those_of_mixup() -> None:
    method, batch = make(make_context()), constant_images(4)
    shares, partners = [], []
    for _ in range(400):
        extra = method.objective.prepare(batch).extra
        share, mixed = float(extra[SHARE][0]), extra[MIXED]
        assert torch.equal(extra[SHARE], extra[SHARE][:1].expand(4))
        assert sorted(extra[PARTNER].tolist()) == [0, 1, 2, 3]
        expected = (share * batch.labels + (1 - share) * extra[PARTNER]) / 4
        torch.testing.assert_close(mixed, expected.view(1, 4, 1, 1, 1).expand_as(mixed).double(), rtol=0, atol=1e-7)
        shares.append(share)
        partners.append(extra[PARTNER].tolist())
    # Beta(1, 1) folded at a half: uniform on [0.5, 1], of mean 3/4 and standard deviation 1/(4 sqrt 3).
    assert 0.5 <= min(shares) < 0.52 and 0.98 < max(shares) <= 1
    assert abs(np.mean(shares) - 0.75) < 4 * (1 / (4 * 3**0.5)) / 20
    assert abs(np.std(shares) - 1 / (4 * 3**0.5)) < 0.02
    # Every image meets every one, itself too, a quarter of the time: 4.6 standard deviations of a share of 400.
    for first in range(4):
        for second in range(4):
            met = np.mean([partner[first] == second for partner in partners])
            assert abs(met - 0.25) < 0.1


def test_a_larger_alpha_mixes_more_evenly_and_none_not_at_all() -> None:
    method, batch = make(make_context(), mixup=50.0), constant_images(4)
    assert all(float(method.objective.prepare(batch).extra[SHARE][0]) < 0.75 for _ in range(20))
    extra = make(make_context(), mixup=0.0).objective.prepare(batch).extra
    assert torch.equal(extra[MIXED], batch.images) and float(extra[SHARE][0]) == 1.0


def test_mixtures_are_functions_of_seed_and_epoch() -> None:
    def mixed(epoch: int, *, before: int = 0, seed: int = SEED) -> Tensor:
        method = make(make_context(seed=seed))
        for _ in range(before):
            method.objective.prepare(make_batch())
        method.begin_epoch(epoch)
        return method.objective.prepare(make_batch()).extra[MIXED]

    assert torch.equal(mixed(1), mixed(1, before=2))
    assert not torch.equal(mixed(1), mixed(2))
    assert not torch.equal(mixed(1), mixed(1, seed=6))


def test_every_pass_over_a_batch_sees_the_same_mixture() -> None:
    method = make(make_context())
    prepared = method.objective.prepare(make_batch())
    one, other = (method.objective(prepared) for _ in range(2))
    assert torch.equal(one.targets[0].images, other.targets[0].images) and torch.equal(one.loss, other.loss)


def test_a_prepared_batch_can_be_divided() -> None:
    """As DAMP and m-sharpness do; without batch statistics the parts' losses, each by its size, make up the whole."""
    method = make(make_context("cifar_resnet", "wider"))
    method.objective.context.network.eval()  # type: ignore[attr-defined]
    prepared = method.objective.prepare(make_batch(views=2))
    whole = method.objective(prepared).loss
    divided = sum(method.objective(part).loss * len(part.labels) for part in parts.split(prepared, 3)) / SIZE
    torch.testing.assert_close(divided, whole, rtol=1e-10, atol=0)


def test_without_noise_damp_changes_nothing() -> None:
    damp = {"name": "damp", "sigma": 0.0, "sub_batches": 1, "gradient": "perturbed", "form": "auto"}
    alone, both = make_context("cifar_resnet", "wider"), make_context("cifar_resnet", "wider")
    method, composed = make(alone), make(both, damp)
    method.gradients(make_batch())
    composed.gradients(make_batch())
    found, expected = gradients(both.network), gradients(alone.network)
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    for one, other in zip(method.parameters(), composed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrapper",
    [
        {"name": "damp", "sigma": 0.2, "sub_batches": 4, "gradient": "perturbed", "form": "grouped"},
        {"name": "sam", "rho": 0.05, "sub_batches": 2, "statistics": "part"},
        {"name": "asam", "rho": 0.5, "sub_batches": 3},
    ],
    ids=["damp", "sam", "asam"],
)
def test_wrappers_find_other_gradients_and_leave_weights_and_teacher(wrapper: dict[str, Any]) -> None:
    context, plain_context = make_context("cifar_resnet", "wider"), make_context("cifar_resnet", "wider")
    method = make(context, wrapper)
    teacher = context.teachers["robust"]
    before = {name: p.detach().clone() for name, p in context.network.named_parameters()}
    taught = {name: value.clone() for name, value in teacher.state_dict().items()}
    metrics = method.gradients(make_batch(views=2))
    make(plain_context).gradients(make_batch(views=2))
    found, other = gradients(context.network), gradients(plain_context.network)
    assert found.keys() == other.keys()
    assert all(bool(found[name].isfinite().all()) for name in found)
    assert not torch.allclose(found["stem.weight"], other["stem.weight"])
    assert all(torch.equal(p, before[name]) for name, p in context.network.named_parameters())
    assert all(torch.equal(value, taught[name]) for name, value in teacher.state_dict().items())
    assert all(weight.grad is not None and float(weight.grad.abs().sum()) > 0 for weight in method.parameters())
    assert {"mixup_loss", "soft_loss", "acm_loss"} <= set(metrics)


def test_subnets_evaluation_and_attacks_are_not_watched() -> None:
    context = make_context()
    network, images = context.network, make_batch().images[0]
    method = make(context, EWS)
    method.gradients(make_batch())
    extra = next(part for part in method.extras if isinstance(part, Ews))
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    unwatched = network(images), network(images, subnet=extra.subnet)
    with watched(network, stage_ends(network)) as maps:
        assert torch.equal(network(images), unwatched[0])
    assert len(maps) == 3
    assert torch.equal(network(images, subnet=extra.subnet), unwatched[1])
    method.objective.validation_images(images, make_batch().labels, 0)
    assert len(maps) == 3
    with pytest.raises(KeyboardInterrupt), watched(network, [0]):
        raise KeyboardInterrupt
    for one in (network, context.teachers["robust"]):
        assert not any(module._forward_hooks for module in one.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_with_ews_subnets_are_distilled_on_the_mixed_and_searched_on_the_unmixed_images() -> None:
    context = make_context()
    method, batch = make(context, EWS), make_batch()
    share, partner = drawn(method, batch)
    extra = next(part for part in method.extras if isinstance(part, Ews))
    seen: list[Tensor] = []
    update = extra.search.update

    def spy(reward: Any, generator: torch.Generator) -> dict[str, Tensor]:
        def spied(subnets: list[Any]) -> Tensor:
            values = reward(subnets)
            with torch.no_grad():
                answers = [context.network(batch.images[0], subnet=subnet).argmax(1) for subnet in subnets]
            right = torch.stack([(answer == batch.labels).float().mean() for answer in answers])
            seen.extend([values, right])
            return values

        return update(spied, generator)

    extra.search.update = spy  # type: ignore[method-assign]
    metrics = method.gradients(batch)
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=1e-6)
    found, subnet = gradients(context.network), extra.subnet
    context.network.zero_grad()
    terms = reference(context, batch, share, partner, [None] * 3)
    small = context.network(terms["mixed"], subnet=subnet)
    term = F.kl_div(
        small.log_softmax(1), terms["logits"].detach().log_softmax(1), log_target=True, reduction="batchmean"
    )
    loss = 0.7 * terms["mixup_loss"] + 0.3 * terms["soft_loss"] + 7.0 * terms["acm_loss"]
    (loss + 0.3 * term).backward()
    assert_close(found, gradients(context.network))
    assert float(metrics["distillation"]) == pytest.approx(float(term.detach()), rel=1e-5) and term.detach() > 1e-4


def test_the_best_epoch_is_chosen_under_the_same_attack_as_with_at() -> None:
    context, batch = make_context(), make_batch()
    attack = {"epsilon": 8 / 255, "step_size": 1 / 255, "steps": 1, "attack_mode": "train"}
    attack |= {"validation_steps": 3, "validation_step_size": 3 / 255, "validation_images": None}
    method = make(context)
    assert method.objective.adversarial
    expected = At(context, AtParameters.model_validate(attack)).validation_images(batch.images[0], batch.labels, 2)
    found = method.objective.validation_images(batch.images[0], batch.labels, 2)
    assert torch.equal(found, expected) and not torch.equal(found, batch.images[0])


def test_training_makes_no_adversarial_example(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **keys: Any) -> None:
        raise AssertionError("attacked")

    method = make(make_context(), EWS)
    monkeypatch.setattr("ews.methods.adversarial_objective.pgd", fails)
    method.gradients(make_batch())
    with pytest.raises(AssertionError, match="attacked"):
        method.objective.validation_images(make_batch().images[0], make_batch().labels, 0)


@pytest.mark.parametrize(
    ("network", "ends"),
    [
        ("cifar_resnet", [0, 1, 2]),
        ("deeper", [1, 3, 5]),
        ("wide_resnet", [0, 1, 2]),
        ("resnet", [1, 3, 5, 7]),
        ("resnet50", [2, 6, 12, 15]),
        ("preact_resnet", [1, 3, 5, 7]),
    ],
)
def test_stages_end_where_the_next_has_other_channels_or_a_stride(network: str, ends: list[int]) -> None:
    assert stage_ends(build(network, "student")) == ends
    # What planning refuses other stages by.
    assert len(ends) == ARCHITECTURES[NETWORKS[network]["network"]].parameters.stages


def test_maps_and_distances_by_hand() -> None:
    activation = torch.tensor([[[[1.0, -3.0], [0.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]]]])
    assert channel_map(activation).tolist() == [[1.0, 2.0]]
    assert channel_map(activation.bfloat16()).dtype == torch.float32
    # Of unit vectors: the same direction, a right angle, opposite; a factor changes nothing.
    one = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    other = torch.tensor([[30.0, 40.0], [0.0, 2.0], [-5.0, 0.0]], dtype=torch.float64)
    assert float(distance(one, other)) == pytest.approx((0 + 2**0.5 + 2) / 3)
    dead = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = distance(dead, other[:1])
    value.backward()
    assert float(value.detach()) == pytest.approx(1.0) and bool(dead.grad.isfinite().all())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mixup": -0.5}, r"mixup\n.* greater than or equal to 0"),
        ({"soft_weight": 1.5}, r"soft_weight\n.* less than or equal to 1"),
        ({"temperature": 0.0}, r"temperature\n.* greater than 0"),
        ({"acm_weight": float("inf")}, r"acm_weight\n.* finite"),
        ({"stages": [-4]}, r"student: stages \[-4\]: the network has 3 stages; give some of \[-3, -2, -1\]"),
        ({"stages": [-1, -2]}, "must ascend, each once"),
        ({"stages": []}, r"stages\n.* at least 1 item"),
        ({"validation_steps": 0}, "validation_steps"),
        ({"validation_epsilon": 8.0}, "validation_epsilon"),
    ],
)
def test_bad_parameters_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises((EwsError, ValueError), match=message):
        make(make_context(), **changed)


def test_a_missing_teacher_is_named() -> None:
    with pytest.raises(EwsError, match=r"needs the teacher 'robust'; loaded are \[\]"):
        make(replace(make_context(), teachers={}))
