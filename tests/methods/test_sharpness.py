"""SAM and ASAM against references written out in float64, and what their two passes leave alone.

Sub-batches that share statistics: test_part_weights.py.
"""

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import DROPOUT, EWS, TRADES
from helpers.sharpness import (
    ASAM,
    BOTH,
    CLASSES,
    SAM,
    assert_close,
    assert_same,
    gradients,
    kl,
    make,
    make_batch,
    make_context,
    state,
    wrapper_of,
)
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.methods.adversarial_objective import ADVERSARIAL
from ews.methods.asam.asam import Asam
from ews.methods.component import Batch, Extra, Metrics, Objective, Pass
from ews.methods.ews.ews import Ews
from ews.methods.method_registry import METHODS
from ews.methods.parts import sizes, split
from ews.methods.sam.sam import Sam
from ews.methods.sam.sam_spec import SamParameters
from ews.methods.sharpness import SharpnessAware
from ews.methods.sharpness_spec import Statistics

FORMS = [(1, "part"), (2, "part"), (2, "batch")]


class Linear(nn.Linear):
    """A linear layer as a network, which has no effects to capture."""

    def capture_suspended(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize(("sub_batches", "statistics"), [(1, "part"), (3, "part"), (3, "batch")])
@pytest.mark.parametrize("kind", [Sam, Asam])
def test_steps_on_a_quadratic(kind: type[SharpnessAware], sub_batches: int, statistics: str) -> None:
    """Mean of (u . x_i + b - t_i)^2 / 2, in (u, b): everything by hand, five steps of gradient descent.

    Where nothing is normalised, parts that share statistics are parts that do not.
    """
    generator = torch_stream("test", "quadratic")
    inputs = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(7, generator=generator, dtype=torch.float64)
    linear = Linear(3, 1).double()
    start = torch.tensor([0.6, -1.1, 0.3, 0.8], dtype=torch.float64)
    linear.weight.data, linear.bias.data = start[None, :3].clone(), start[3:].clone()
    method = METHODS[kind.name].implementation()(
        make_context(linear), METHODS[kind.name].parameters(rho=0.7, sub_batches=sub_batches, statistics=statistics)
    )

    def compute(batch: Batch) -> Metrics:
        chosen = batch.labels
        residual = linear(batch.images[0])[:, 0] - targets[chosen]
        loss = 0.5 * (residual**2).mean()
        loss.backward()
        return {"loss": loss.detach()}

    theta, design = start.clone(), torch.cat([inputs, torch.ones(7, 1, dtype=torch.float64)], dim=1)
    for _ in range(5):
        metrics = method(compute, Batch(inputs[None], torch.arange(7), 1, 0))
        expected, loss = torch.zeros(4, dtype=torch.float64), 0.0
        first = 0
        # Seven images in three parts are 3, 2 and 2.
        for count in [7] if sub_batches == 1 else [3, 2, 2]:
            a, t = design[first : first + count], targets[first : first + count]
            first += count
            g = a.T @ (a @ theta - t) / count
            ones = torch.ones(4, dtype=torch.float64)
            scale = torch.cat([theta[:3].abs(), ones[3:]]) if kind is Asam else ones
            e = 0.7 * scale**2 * g / (scale * g).square().sum().sqrt()
            expected += count / 7 * (a.T @ (a @ (theta + e) - t) / count)
            loss += count / 7 * float((a @ theta - t).square().mean()) / 2
        assert linear.weight.grad is not None and linear.bias.grad is not None
        found = torch.cat([linear.weight.grad[0], linear.bias.grad])
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
        assert float(metrics["loss"]) == pytest.approx(loss, rel=1e-12)
        theta -= 0.1 * expected
        with torch.no_grad():
            for parameter in linear.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
    torch.testing.assert_close(torch.cat([linear.weight.detach()[0], linear.bias.detach()]), theta, rtol=1e-11, atol=0)
    assert (theta - start).norm() > 0.1


@pytest.mark.parametrize("sub_batches", [1, 2])
@pytest.mark.parametrize("others", [[], [TRADES]], ids=["alone", "trades"])
@pytest.mark.parametrize("extras", [[], [EWS]], ids=["", "ews"])
@pytest.mark.parametrize("method", BOTH)
def test_the_gradient_of_the_whole_loss_where_the_whole_gradient_leads(
    method: dict[str, Any], others: list[Any], extras: list[Any], sub_batches: int
) -> None:
    context = make_context()
    network, other = context.network, copy.deepcopy(context.network)
    composed, batch = make(context, *others, {**method, "sub_batches": sub_batches}, *extras), make_batch()
    seen: list[Batch] = []
    composed.wrappers[0].begin = lambda batch, objective: seen.append(batch)  # type: ignore[method-assign]
    before = state(network)
    composed.gradients(batch)
    subnet = composed.extras[0].subnet if extras else None  # type: ignore[attr-defined]

    def loss(images: Tensor, attacked: Tensor | None, labels: Tensor) -> Tensor:
        logits = other(images)
        total = F.cross_entropy(logits, labels)
        terms = [(1.0, images, logits)]
        if attacked is not None:
            robust = other(attacked)
            total = total + 6.0 * kl(logits, robust)
            terms.append((6.0, attacked, robust))
        for weight, shown, teacher in terms if extras else []:
            total = total + 0.3 * weight * kl(teacher.detach(), other(shown, subnet=subnet))
        return total

    parameters = dict(other.named_parameters())
    expected = {name: torch.zeros_like(value) for name, value in parameters.items()}
    statistics: dict[str, Tensor] = {}
    for part in range(sub_batches):
        chosen = slice(part * 10 // sub_batches, (part + 1) * 10 // sub_batches)
        attacked = seen[0].extra[ADVERSARIAL][0, chosen] if others else None
        arguments = (batch.images[0, chosen], attacked, batch.labels[chosen])
        other.load_state_dict(before)
        slopes = dict(zip(parameters, torch.autograd.grad(loss(*arguments), list(parameters.values())), strict=True))
        for name, value in other.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                statistics[name] = statistics.get(name, 0.0) + value / sub_batches
        # Kernels and scales are called weight, biases and shifts bias.
        scales = {
            name: value.detach().abs() if method is ASAM and name.endswith("weight") else torch.ones_like(value)
            for name, value in parameters.items()
        }
        norm = torch.stack([(scales[name] * slopes[name]).square().sum() for name in slopes]).sum().sqrt()
        with torch.no_grad():
            for name, value in parameters.items():
                value += method["rho"] * scales[name] ** 2 * slopes[name] / norm
        moved = torch.autograd.grad(loss(*arguments), list(parameters.values()))
        for name, value in zip(parameters, moved, strict=True):
            expected[name] += value / sub_batches
    assert_close(gradients(network), expected, 1e-9)
    for name, value in network.named_parameters():
        assert torch.equal(value.detach(), before[name]), name
    found = dict(network.named_buffers())
    for name, value in statistics.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-14, msg=name)
    assert int(network.norm.num_batches_tracked) == (2 if others else 1)


@pytest.mark.parametrize("sub_batches", [1, 3])
@pytest.mark.parametrize("method", BOTH)
def test_weights_are_back_bit_for_bit_also_after_an_error(method: dict[str, Any], sub_batches: int) -> None:
    context = make_context()
    network = context.network.float().to(memory_format=torch.channels_last)
    composed = make(context, {**method, "sub_batches": sub_batches})
    batch = replace(make_batch(), images=make_batch().images.float())
    for parameter in network.parameters():
        parameter.data.mul_(1 / 3)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    composed.gradients(batch)
    assert_same(dict(network.named_parameters()), before)
    assert all(value.stride() == before[name].stride() for name, value in network.named_parameters())
    calls = []

    def fails(batch: Batch) -> Metrics:
        calls.append({name: value.detach().clone() for name, value in network.named_parameters()})
        if len(calls) == 2:
            raise KeyboardInterrupt
        network(batch.images[0]).sum().backward()
        return {}

    with pytest.raises(KeyboardInterrupt):
        wrapper_of(composed)(fails, batch)
    assert_same(calls[0], before)
    changes = [calls[1][name] - before[name] for name in before]
    assert max(float(change.abs().max()) for change in changes) > 1e-4
    assert_same(dict(network.named_parameters()), before)
    assert all(module.track_running_stats for module in network.modules() if isinstance(module, nn.BatchNorm2d))


@pytest.mark.parametrize(("sub_batches", "statistics"), FORMS)
@pytest.mark.parametrize("method", BOTH)
def test_a_zero_gradient_moves_nothing(method: dict[str, Any], sub_batches: int, statistics: str) -> None:
    context = make_context()
    wrapper = wrapper_of(make(context, {**method, "sub_batches": sub_batches, "statistics": statistics}))
    before = {name: value.clone() for name, value in context.network.named_parameters()}

    def flat(batch: Batch) -> Metrics:
        # Parts that share statistics leave the weights where they are, and nothing but layers can ask for their values.
        if statistics == "part":
            assert_same(dict(context.network.named_parameters()), before)
        (0.0 * context.network(batch.images[0])).sum().backward()
        return {}

    wrapper(flat, make_batch())
    assert all(torch.equal(value, torch.zeros_like(value)) for value in gradients(context.network).values())
    # And where nothing has a gradient at all.
    context.network.zero_grad()
    wrapper(lambda batch: {}, make_batch())
    assert gradients(context.network) == {}


@pytest.mark.parametrize("method", BOTH)
def test_a_weight_that_is_zero_stays_under_asam(method: dict[str, Any]) -> None:
    context = make_context()
    context.network.head.weight.data[0, 0] = 0.0
    context.network.head.bias.data.zero_()
    wrapper = wrapper_of(make(context, method))
    seen: list[tuple[Tensor, Tensor]] = []

    def look(batch: Batch) -> Metrics:
        seen.append((context.network.head.weight.detach().clone(), context.network.head.bias.detach().clone()))
        F.cross_entropy(context.network(batch.images[0]), batch.labels).backward()
        return {}

    wrapper(look, make_batch())
    (_, _), (weight, bias) = seen
    assert (float(weight[0, 0]) == 0.0) == (method is ASAM)
    assert (bias != 0).all()


@pytest.mark.parametrize("sub_batches", [1, 2])
@pytest.mark.parametrize("method", BOTH)
def test_metrics_logs_and_searches_are_those_of_the_passes_at_w(method: dict[str, Any], sub_batches: int) -> None:
    context, plain = make_context(), make_context()
    ews = {**EWS, "search": "gradient"}
    composed = make(context, {**method, "sub_batches": sub_batches}, ews)
    alone = make(plain, ews)
    found, expected = composed.gradients(make_batch(2)), alone.gradients(make_batch(2))
    one, other = composed.extras[0], alone.extras[0]
    assert isinstance(one, Ews) and isinstance(other, Ews)
    if sub_batches == 1:
        assert_same(found, expected)
        for a, b in zip(one.search.state_dict()["channels"], other.search.state_dict()["channels"], strict=True):
            assert all(torch.equal(c, d) for c, d in zip(a, b, strict=True))
    else:
        assert found.keys() == expected.keys()
        # Each part is normalised by itself, so that losses differ a little and counts of errors are whole.
        assert float(found["error"]) * 10 == pytest.approx(round(float(found["error"]) * 10), abs=1e-5)
        assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=0.2)
    assert {row["subnets"] for row in composed.tables()["kept.csv"].rows} == {1}
    # The strategy gradient has no log; the learned one has a row for each update, with the accuracy at w.
    rows = {}
    for kind in ([method], []):
        learned = make(make_context(), *kind, EWS)
        for iteration in range(1, 5):
            learned.gradients(make_batch(iteration))
            learned.objective.context.network.zero_grad()  # type: ignore[attr-defined]
        rows[len(kind)] = learned.tables()["controller.csv"].rows
    assert rows[0] == rows[1] and [row["iteration"] for row in rows[1]] == [2, 4]


@pytest.mark.parametrize(("sub_batches", "statistics"), [(1, "part"), (3, "batch")])
@pytest.mark.parametrize("method", BOTH)
def test_both_passes_drop_the_same_channels(method: dict[str, Any], sub_batches: int, statistics: str) -> None:
    """With a step that is next to nothing the gradient is that of vanilla with the same masks."""
    found, states = [], []
    for more in ([], [{**method, "rho": 1e-9, "sub_batches": sub_batches, "statistics": statistics}]):
        context = make_context()
        composed = make(context, DROPOUT, *more)
        torch.manual_seed(0)
        composed.gradients(make_batch())
        found.append(gradients(context.network))
        states.append(torch.get_rng_state())
    assert_close(found[0], found[1], 1e-5)
    assert torch.equal(*states)


@pytest.mark.parametrize(("sub_batches", "statistics"), FORMS)
def test_gradients_that_were_there_remain_and_an_objective_s_own_parameters_are_not_counted_twice(
    sub_batches: int, statistics: Statistics
) -> None:
    context = make_context()

    class Scaled(Objective):
        name = "scaled"

        def __init__(self) -> None:
            self.factor = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def parameters(self) -> list[nn.Parameter]:
            return [self.factor]

        def __call__(self, batch: Batch) -> Pass:
            return Pass(self.factor * context.network.head.bias.sum(), [], {})

    objective = Scaled()
    sam = Sam(context, SamParameters(rho=0.5, sub_batches=sub_batches, statistics=statistics))

    def compute(batch: Batch) -> Metrics:
        objective(batch).loss.backward()
        return {}

    context.network.head.bias.grad = torch.full((CLASSES,), 7.0, dtype=torch.float64)
    total = float(context.network.head.bias.detach().sum())
    sam.begin(make_batch(), objective)
    sam(compute, make_batch())
    # e = 0.5 (1, 1, 1, 1) / 2, so the sum of the biases grows by 1.
    torch.testing.assert_close(context.network.head.bias.grad, torch.full((CLASSES,), 9.0, dtype=torch.float64))
    assert objective.factor.grad is not None
    assert float(objective.factor.grad) == pytest.approx(total + 1)
    assert float(objective.factor.detach()) == 2.0


@pytest.mark.parametrize("method", BOTH)
def test_small_last_batches_have_parts_of_two_images(method: dict[str, Any]) -> None:
    context = make_context()
    composed = make(context, {**method, "sub_batches": 8})
    counts: list[int] = []

    class Count(Extra):
        def gradients(self, batch: Batch, full: Pass) -> Metrics:
            counts.append(len(batch.labels))
            return {}

    composed.extras.append(Count())
    for size in (16, 5, 1):
        composed.gradients(make_batch(2, size=size))
    assert counts == [2] * 16 + [3, 3, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({**SAM, "rho": 0.0}, r"rho\n.* greater than 0"),
        ({**ASAM, "rho": float("inf")}, r"rho\n.* finite"),
        ({**ASAM, "statistics": "running"}, r"statistics\n.* 'batch' or 'part'"),
        ({**ASAM, "sub_batches": 0}, r"sub_batches\n.* greater than or equal to 1"),
    ],
)
def test_wrong_parameters_are_refused(component: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(make_context(), component)


@pytest.mark.parametrize(("statistics", "most"), [("part", 3), ("batch", 7)])
def test_more_parts_than_there_are_images_for_are_refused_in_the_first_batch(statistics: str, most: int) -> None:
    method = {**SAM, "sub_batches": most + 1, "statistics": statistics}
    message = f"sub_batches {most + 1} is too many for the 7 images of a batch; valid: 1 to {most}"
    with pytest.raises(EwsError, match=message):
        make(make_context(), method).gradients(make_batch(size=7))


def test_planning_knows_how_many_images_a_part_must_have() -> None:
    for spec in (METHODS["sam"], METHODS["asam"]):
        assert spec.least_part(spec.parameters(statistics="part")) == 2
        assert spec.least_part(spec.parameters(statistics="batch")) == 1
    assert METHODS["damp"].least_part(METHODS["damp"].parameters()) == 1


@pytest.mark.parametrize(
    ("images", "sub_batches", "least", "expected"),
    [
        (16, 8, 1, [2] * 8),
        (19, 8, 1, [3, 3, 3, 2, 2, 2, 2, 2]),
        (3, 8, 1, [1, 1, 1]),
        (5, 8, 2, [3, 2]),
        (1, 8, 2, [1]),
    ],
)
def test_sizes_of_parts(images: int, sub_batches: int, least: int, expected: list[int]) -> None:
    assert sizes(images, sub_batches, least=least) == expected


def test_a_batch_is_divided_with_everything_that_belongs_to_its_images() -> None:
    batch = make_batch(7, views=3, size=5)
    extra = {"attacked": batch.images * 0.5, "soft": torch.rand(5, CLASSES), "share": torch.rand(5)}
    batch = replace(batch, extra=extra)
    found = split(batch, 2)
    assert [len(part.labels) for part in found] == [3, 2]
    assert all(part.iteration == 7 for part in found)
    for name, dim in (("attacked", 1), ("soft", 0), ("share", 0)):
        assert torch.equal(torch.cat([part.extra[name] for part in found], dim), extra[name])
    assert torch.equal(torch.cat([part.images for part in found], 1), batch.images)
    assert torch.equal(torch.cat([part.labels for part in found]), batch.labels)
    with pytest.raises(EwsError, match=r"cannot divide 'mean' of shape \[3\]; it must begin with \[3, 5\] or \[5\]"):
        split(replace(batch, extra={"mean": torch.zeros(3)}), 2)
