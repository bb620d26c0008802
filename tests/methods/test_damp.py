"""DAMP against vanilla, against closed forms and against layers written out; its draws and what it leaves alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import AT, DROPOUT, EWS, TRADES
from helpers.science import build_method, build_network
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.methods import weight_noise
from ews.methods.adversarial_objective import ADVERSARIAL
from ews.methods.component import Batch, Context, Extra, Metrics, Pass
from ews.methods.compose import Method
from ews.methods.damp.damp import Damp
from ews.methods.ews.ews import Ews
from ews.methods.parts import kernels_and_scales, sizes
from ews.methods.weight_noise import FORMS, Noise
from ews.pipeline.train import optim

GRADIENTS = ("perturbed", "objective")
NETWORKS = {
    "cifar_resnet": {"network": "cifar_resnet", "depth": 8, "width": 4},
    "resnet50": {"network": "resnet", "depth": 50, "width": 2},
    "preact_resnet": {"network": "preact_resnet", "depth": 18, "width": 4},
}
CLASSES = 4


def damp(**changes: Any) -> dict[str, Any]:
    return {
        "name": "damp",
        "sigma": 0.3,
        "sub_batches": 4,
        "gradient": "perturbed",
        "form": "sequential",
        **changes,
    }


def over_views(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return cross_entropy(logits[0], labels) + logits.var(0, unbiased=False).mean()


def make_context(network: str = "cifar_resnet", *, dtype: torch.dtype = torch.float64, nhwc: bool = False) -> Context:
    built = build_network(
        NETWORKS[network], classes=CLASSES, mean=[0.5] * 3, std=[0.2] * 3, generator=torch_stream("test", "init")
    ).to(dtype)
    if nhwc:
        built.to(memory_format=torch.channels_last)
    # Scales and shifts that are not all the same.
    generator = torch_stream("test", "scales")
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.bias.copy_(torch.rand(module.bias.shape, generator=generator) - 0.5)
    return Context(
        network=built.train(),
        augmentation_loss=over_views,
        seed=5,
        label_smoothing=0.0,
        device=torch.device("cpu"),
        channels_last=nhwc,
    )


def make_batch(
    iteration: int = 1, *, views: int = 1, size: int = 8, dtype: torch.dtype = torch.float64, epoch: int = 0
) -> Batch:
    generator = torch_stream("test", "batch", iteration)
    images = torch.rand(views, size, 3, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return Batch(images=images, labels=torch.arange(size) % CLASSES, iteration=iteration, epoch=epoch)


def make_noise(weights: list[Tensor], **changes: Any) -> Noise:
    settings = {"sigma": 0.3, "sub_batches": 2, "objective": False, "form": "sequential", "views": 1, "images": 8}
    return Noise(weights, **{**settings, "generator": torch_stream("test"), **changes})


def make(context: Context, *components: dict[str, Any], epoch: int = 0) -> Method:
    method = build_method(context, *components)
    method.begin_epoch(epoch)
    return method


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        assert torch.equal(one[name], other[name]), name


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    assert one.keys() == other.keys() and one
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance, msg=name)


def trained(components: list[dict[str, Any]], *, context: Context, views: int, size: int, steps: int = 3) -> Any:
    """Take some optimiser steps and return the metrics of each and the network's state."""
    method = make(context, *components)
    optimizer = torch.optim.SGD(context.network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    dtype = context.network.head.weight.dtype
    torch.manual_seed(3)
    metrics = []
    for iteration in range(1, steps + 1):
        metrics.append(method.gradients(make_batch(iteration, views=views, size=size, dtype=dtype)))
        optim.step(optimizer, clip=3.0)
    return metrics, context.network.state_dict()


OTHERS = [
    pytest.param([], id="alone"),
    pytest.param([EWS], id="ews"),
    pytest.param([DROPOUT], id="dropout"),
    pytest.param([TRADES, EWS], id="trades+ews"),
]


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_without_noise_and_with_one_part_it_is_vanilla_bit_for_bit(others: list[Any], gradient: str) -> None:
    found = []
    for more in ([], [damp(sigma=0.0, sub_batches=1, gradient=gradient)]):
        context = make_context("resnet50", dtype=torch.float32, nhwc=True)
        found.append(trained([*others, *more], context=context, views=3, size=7))
    (plain, expected), (metrics, state) = found
    for one, other in zip(plain, metrics, strict=True):
        assert_same(one, other)
    assert_same(expected, state)


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("views", "size"), [(1, 16), (3, 16), (1, 19), (3, 11), (1, 5)])
def test_without_noise_eight_parts_are_vanilla(others: list[Any], form: str, views: int, size: int) -> None:
    found = []
    for more in ([], [damp(sigma=0.0, sub_batches=8, form=form)]):
        context = make_context("preact_resnet" if views == 1 else "cifar_resnet", nhwc=views == 3)
        method = make(context, *others, *more)
        torch.manual_seed(3)
        # An error is raised for a first batch with fewer images than parts, not for a later one.
        method.gradients(make_batch(2, views=views, size=size))
        found.append((gradients(context.network), dict(context.network.named_buffers())))
    assert_close(found[0][0], found[1][0])
    assert_close(found[0][1], found[1][1])


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Yield a list of (weight's values, its draws z [M, *shape]), in the order of drawing."""
    found: list[tuple[Tensor, Tensor]] = []
    draw = weight_noise.normal_like

    def spy(weight: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        numbers = draw(weight, draws, generator)
        found.append((weight, numbers.clone()))
        return numbers

    with monkeypatch.context() as patch:
        patch.setattr(weight_noise, "normal_like", spy)
        yield found


class Tiny(nn.Module):
    """Convolution, normalisation, ReLU, mean over space, linear."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch_stream("test", "tiny")
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1).double()
        self.norm = nn.BatchNorm2d(4).double()
        self.head = nn.Linear(4, CLASSES).double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("views", "size"), [(1, 8), (3, 8), (2, 7)])
def test_layers_written_out(gradient: str, form: str, views: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image by its own weights, one image at a time; statistics over the whole batch."""
    network, batch = Tiny(), make_batch(views=views, size=size)
    context = replace(make_context(), network=network)  # type: ignore[arg-type]
    method = build_method(context, damp(gradient=gradient, form=form)).wrappers[0]
    method.begin_epoch(0)

    def compute(batch: Batch) -> Metrics:
        logits = network(batch.images.flatten(0, 1))
        F.cross_entropy(logits, batch.labels.repeat(views)).backward()
        return {}

    with recorded(monkeypatch) as draws:
        method(compute, batch)
    found = gradients(network)
    z = {tuple(weight.shape): numbers for weight, numbers in draws}
    assert len(draws) == len(z) == 3 and all(len(numbers) == 4 for numbers in z.values())

    def noisy(weight: Tensor, part: int) -> Tensor:
        factor = 1 + 0.3 * z[tuple(weight.shape)][part]
        return weight * factor if gradient == "objective" else weight + (weight * (factor - 1)).detach()

    copied = Tiny()
    of_image = [part for part, count in enumerate(sizes(size, 4)) for _ in range(count)] * views
    images = batch.images.flatten(0, 1)
    convolved = torch.stack(
        [
            F.conv2d(image[None], noisy(copied.conv.weight, part), copied.conv.bias, stride=2, padding=1)[0]
            for image, part in zip(images, of_image, strict=True)
        ]
    )
    mean = convolved.mean((0, 2, 3), keepdim=True)
    variance = ((convolved - mean) ** 2).mean((0, 2, 3), keepdim=True)
    normal = (convolved - mean) / (variance + 1e-5).sqrt()
    scale = torch.stack([noisy(copied.norm.weight, part) for part in of_image])[:, :, None, None]
    pooled = (normal * scale + copied.norm.bias[:, None, None]).clamp(min=0).mean((2, 3))
    logits = torch.stack(
        [
            noisy(copied.head.weight, part) @ vector + copied.head.bias
            for vector, part in zip(pooled, of_image, strict=True)
        ]
    )
    F.cross_entropy(logits, batch.labels.repeat(views)).backward()
    assert_close(found, gradients(copied))
    count = convolved.numel() / 4
    torch.testing.assert_close(network.norm.running_mean, 0.1 * mean.flatten().detach())
    unbiased = (variance * count / (count - 1)).flatten().detach()
    torch.testing.assert_close(network.norm.running_var, 0.9 + 0.1 * unbiased)
    assert int(network.norm.num_batches_tracked) == 1


@pytest.mark.parametrize("components", [[], [EWS], [TRADES]], ids=["alone", "ews", "trades"])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_forms_have_the_same_values(components: list[Any], gradient: str) -> None:
    found = {}
    for form in (*FORMS, "auto"):
        context = make_context("resnet50", nhwc=True)
        metrics = make(context, *components, damp(form=form, gradient=gradient)).gradients(make_batch(views=3))
        found[form] = gradients(context.network) | {name: value.double() for name, value in metrics.items()}
    assert_close(found["sequential"], found["vmapped"], 1e-9)
    assert_close(found["sequential"], found["grouped"], 1e-9)
    assert_same(found["sequential"], found["auto"])


def least_squares(gradient: str, sub_batches: int = 4) -> tuple[nn.Linear, Damp, Tensor, Tensor]:
    """Return a linear layer, DAMP on it, inputs X [B, d] and targets."""
    generator = torch_stream("test", "linear")
    linear = nn.Linear(3, 1, bias=False).double()
    linear.weight.data = torch.tensor([[0.7, -1.2, 0.4]], dtype=torch.float64)
    inputs = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(8, generator=generator, dtype=torch.float64)
    context = replace(make_context(), network=linear)  # type: ignore[arg-type]
    method = build_method(
        context, damp(sigma=0.3, sub_batches=sub_batches, gradient=gradient, form="sequential")
    ).wrappers[0]
    method.begin_epoch(0)
    return linear, method, inputs, targets


def least_squares_gradient(linear: nn.Linear, method: Damp, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return DAMP's gradient of (1 / 2B) sum (x w - t)^2."""

    def compute(batch: Batch) -> Metrics:
        ((linear(inputs)[:, 0] - targets) ** 2).mean().mul(0.5).backward()
        return {}

    linear.weight.grad = None
    method(compute, Batch(inputs[None], torch.arange(len(targets)), 1, 0))
    assert linear.weight.grad is not None
    return linear.weight.grad[0].clone()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_linear_least_squares_in_closed_form_for_given_draws(gradient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Perturbed: sum over parts of X_p' (X_p w~_p - t_p) / B; objective: each part's term times xi_p."""
    linear, method, inputs, targets = least_squares(gradient)
    with recorded(monkeypatch) as draws:
        found = least_squares_gradient(linear, method, inputs, targets)
    ((_, z),) = draws
    expected = torch.zeros(3, dtype=torch.float64)
    for part in range(4):
        x, t, xi = inputs[2 * part : 2 * part + 2], targets[2 * part : 2 * part + 2], 1 + 0.3 * z[part, 0]
        slope = x.T @ (x @ (linear.weight[0].detach() * xi) - t) / 8
        expected += slope * xi if gradient == "objective" else slope
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_linear_least_squares_in_expectation(gradient: str) -> None:
    """Plain gradient X' (X w - t) / B in the mean; `objective` adds sigma^2 diag(X' X) w / B, `perturbed` nothing."""
    linear, method, inputs, targets = least_squares(gradient)
    found = torch.stack([least_squares_gradient(linear, method, inputs, targets) for _ in range(4000)])
    weight = linear.weight[0].detach()
    plain = inputs.T @ (inputs @ weight - targets) / 8
    penalty = 0.3**2 * (inputs.T @ inputs).diagonal() * weight / 8
    error = found.std(0) / len(found) ** 0.5
    assert (penalty.abs() > 8 * error).all(), "too few draws to tell the two apart"
    expected = plain + penalty if gradient == "objective" else plain
    assert ((found.mean(0) - expected).abs() < 4 * error).all()
    other = plain if gradient == "objective" else plain + penalty
    assert ((found.mean(0) - other).abs() > 4 * error).all()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_linear_least_squares_in_expectation_exactly(gradient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """z of independent signs has the first two moments of a normal one, and the gradients have degree 2 in it."""
    linear, method, inputs, targets = least_squares(gradient, sub_batches=1)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    found = []
    for z in signs:
        monkeypatch.setattr(weight_noise, "normal_like", lambda weight, draws, generator, z=z: z.clone()[None, None])
        found.append(least_squares_gradient(linear, method, inputs, targets))
    weight = linear.weight[0].detach()
    expected = inputs.T @ (inputs @ weight - targets) / 8
    if gradient == "objective":
        expected = expected + 0.3**2 * (inputs.T @ inputs).diagonal() * weight / 8
    torch.testing.assert_close(torch.stack(found).mean(0), expected, rtol=1e-12, atol=1e-14)


def test_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels and scales, once an iteration, z ~ N(0, 1), all elements and parts independent."""
    context = make_context("preact_resnet")
    method = make(context, TRADES, damp(sub_batches=8))
    with recorded(monkeypatch) as draws:
        method.gradients(make_batch())
        first = list(draws)
        method.gradients(make_batch(2))
    wanted = {name for name, value in context.network.named_parameters() if name.endswith("weight")}
    names = {value.data_ptr(): name for name, value in context.network.named_parameters()}
    # Clean and attacked images, two passes, see the same draws.
    assert sorted(names[weight.data_ptr()] for weight, _ in first) == sorted(wanted)
    assert {name for name, _ in context.network.named_parameters()} - wanted == {
        name for name in names.values() if name.endswith("bias")
    }
    assert len(draws) == 2 * len(first)
    numbers = torch.cat([z.flatten(1) for _, z in first], dim=1)
    assert numbers.shape[0] == 8 and numbers.shape[1] > 20_000
    correlations = torch.corrcoef(torch.cat([numbers, torch.cat([z.flatten(1) for _, z in draws[len(first) :]], 1)]))
    assert (correlations - torch.eye(16)).abs().max() < 5 / numbers.shape[1] ** 0.5
    assert abs(float(numbers.mean())) < 5 / numbers.numel() ** 0.5
    assert float(numbers.var()) == pytest.approx(1, abs=5 * (2 / numbers.numel()) ** 0.5)
    assert float((numbers**4).mean()) == pytest.approx(3, abs=5 * (96 / numbers.numel()) ** 0.5)


def test_draws_are_a_function_of_seed_and_epoch() -> None:
    def found(epoch: int, *, before: int = 0) -> dict[str, Tensor]:
        context = make_context()
        method = make(context, damp())
        for _ in range(before):
            method.gradients(make_batch())
        context.network.zero_grad()
        method.begin_epoch(epoch)
        method.gradients(make_batch())
        return gradients(context.network)

    assert_same(found(1), found(1, before=2))
    assert not torch.equal(found(1)["stem.weight"], found(2)["stem.weight"])


@pytest.mark.parametrize("nhwc", [False, True])
def test_noise_lies_in_memory_as_its_weight(nhwc: bool) -> None:
    context = make_context(nhwc=nhwc)
    for weight in kernels_and_scales(context.network):
        numbers = weight_noise.normal_like(weight, 5, torch_stream("test"))
        assert numbers.shape == (5, *weight.shape)
        dense = [stride for stride, size in zip(weight.stride(), weight.shape, strict=True) if size > 1]
        assert [s for s, size in zip(numbers.stride()[1:], weight.shape, strict=True) if size > 1] == dense


def test_a_slice_is_of_one_further_draw_and_its_gradient_reaches_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context()
    weight, scale = context.network.blocks[0].convs[1].weight, context.network.norm.weight
    rows = torch.tensor([2, 0])
    for objective in (False, True):
        weight.grad = None
        with recorded(monkeypatch) as draws:
            mode = Noise(
                [weight, scale],
                sigma=0.3,
                sub_batches=4,
                objective=objective,
                form="sequential",
                views=1,
                images=8,
                generator=torch_stream("test"),
            )
            with mode:
                part = weight.index_select(0, rows)
                again = weight.index_select(0, rows)
                together = torch.cat([scale, scale])
            (part.sum() + 2 * again.sum()).backward()
            # A second backward pass, as EWS has for each target.
            with mode:
                third = weight.index_select(0, rows)
            third.sum().backward()
        (_, z), (_, scales) = draws
        xi = 1 + 0.3 * z[0]
        torch.testing.assert_close(part, (weight * xi)[rows])
        assert torch.equal(part, again) and torch.equal(part, third)
        torch.testing.assert_close(together, (scale * (1 + 0.3 * scales[0])).repeat(2))
        expected = torch.zeros_like(weight)
        expected[rows] = 4 * xi[rows] if objective else 4.0
        torch.testing.assert_close(weight.grad, expected)


def test_with_ews_the_subnet_is_perturbed_as_well() -> None:
    """At sigma > 0 the distillation differs from that of the clean subnet; searches and rewards see clean weights."""
    found = {}
    for sigma in (0.0, 0.3):
        context = make_context()
        method = make(context, {**EWS, "interval": 1}, damp(sigma=sigma))
        metrics = method.gradients(make_batch())
        (extra,) = method.extras
        assert isinstance(extra, Ews)
        found[sigma] = float(metrics["distillation"]), method.tables()["controller.csv"].rows[0], extra.subnet
    assert found[0.0][0] != found[0.3][0]
    assert found[0.0][1]["reward"] == found[0.3][1]["reward"]
    for one, other in zip(found[0.0][2].blocks, found[0.3][2].blocks, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.channels, other.channels, strict=True))


@pytest.mark.parametrize("objective", [AT, TRADES], ids=["at", "trades"])
def test_attacks_see_the_clean_weights(objective: dict[str, Any]) -> None:
    seen: list[Tensor] = []

    class Look(Extra):
        def gradients(self, batch: Batch, full: Pass) -> Metrics:
            seen.append(batch.extra[ADVERSARIAL])
            return {}

    for more in ([], [damp(sub_batches=1)]):
        method = make(make_context(), objective, *more)
        method.extras.append(Look())
        method.gradients(make_batch())
    assert torch.equal(*seen)


def test_the_network_is_left_as_it_was_also_after_an_error() -> None:
    context = make_context()
    method = make(context, damp())
    before = {name: value.clone() for name, value in context.network.named_parameters()}
    images = make_batch()
    clean = context.network.eval()(images.images[0])
    context.network.train()

    def fails(batch: Batch) -> Metrics:
        assert not torch.equal(context.network.head(torch.ones(1, 16).double()), context.network.head.weight.sum(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.wrappers[0](fails, images)
    assert_same(dict(context.network.named_parameters()), before)
    assert torch.equal(context.network.eval()(images.images[0]), clean)


def test_writing_into_a_weight_and_asking_about_it_find_the_weight_itself() -> None:
    context = make_context()
    weight = context.network.head.weight
    weight.grad = torch.ones_like(weight)
    values = weight.detach().clone()
    with make_noise([weight], sub_batches=2):
        assert torch.equal(weight.detach(), values) and weight.requires_grad and weight.is_leaf
        assert weight.grad is not None and weight.grad.sum() == weight.numel() and weight.shape == values.shape
        with torch.no_grad():
            weight.mul_(2)
        assert torch.equal(weight.detach(), 2 * values)
        transposed = weight.T
        assert not torch.equal(transposed, 2 * values.T)
    # The draw for the whole batch, of the values at its first use.
    factors = 1 + 0.3 * weight_noise.normal_like(2 * values, 1, torch_stream("test"))[0]
    torch.testing.assert_close(transposed, (2 * values * factors).T)
    assert torch.equal(weight.T, 2 * values.T)


def test_search_by_gradients_sees_the_perturbed_pass() -> None:
    def scores(*more: dict[str, Any]) -> Tensor:
        method = make(make_context(), {**EWS, "search": "gradient"}, *more)
        method.gradients(make_batch())
        (extra,) = method.extras
        assert isinstance(extra, Ews)
        return torch.cat([one for block in extra.search.state_dict()["channels"] for one in block])

    clean = scores()
    torch.testing.assert_close(scores(damp(sigma=0.0)), clean)
    assert not torch.allclose(scores(damp(sigma=0.3)), clean, rtol=0.01)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("views", [1, 3])
def test_all_views_of_an_image_in_passes_that_are_joined_have_one_draw(form: str, views: int) -> None:
    """As in AW-Net's pass over clean and attacked images, and its normalisations over either kind."""
    conv, norm = nn.Conv2d(3, 5, 3).double(), nn.BatchNorm2d(5).double()
    x = torch.rand(4, 3, 6, 6, dtype=torch.float64, generator=torch_stream("test", "x"))
    with make_noise([conv.weight, norm.weight], sub_batches=2, form=form, views=views, images=4):
        joined = conv(x.repeat(2 * views, 1, 1, 1)).unflatten(0, (2 * views, 4))
        alone = norm(conv(x.repeat(views, 1, 1, 1))).unflatten(0, (views, 4))
        part = conv(x[:2].repeat(views, 1, 1, 1)).unflatten(0, (views, 2))
    for found in (joined, alone, part):
        torch.testing.assert_close(found, found[:1].expand_as(found))
    # Images 0 and 2 are in different parts.
    with make_noise([conv.weight], sub_batches=2, form=form, views=views, images=4):
        alike = conv(x[:1].repeat(8 * views, 1, 1, 1)).unflatten(0, (2 * views, 4))
    assert not torch.allclose(alike[:, 0], alike[:, 2]) and torch.allclose(alike[:, 0], alike[:, 1])


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16(form: str) -> None:
    found: dict[Any, Tensor] = {}
    seen: dict[Any, list[torch.dtype]] = {}
    for sigma in (None, 0.0, 0.3):
        context = replace(make_context(dtype=torch.float32, nhwc=True), bfloat16=True)
        seen[sigma] = []
        for module in context.network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.register_forward_hook(lambda module, x, out, to=seen[sigma]: to.append(out.dtype))
        more = [] if sigma is None else [damp(form=form, sigma=sigma)]
        make(context, EWS, *more).gradients(make_batch(dtype=torch.float32, size=16))
        found[sigma] = torch.cat([value.flatten() for value in gradients(context.network).values()])
        assert found[sigma].dtype == torch.float32 and found[sigma].isfinite().all()
    assert seen[None] == seen[0.0] == seen[0.3] and set(seen[None]) == {torch.bfloat16}
    assert F.cosine_similarity(found[None], found[0.0], dim=0) > 0.99
    assert F.cosine_similarity(found[None], found[0.3], dim=0) < 0.99


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sigma": -0.1}, r"sigma\n.* greater than or equal to 0"),
        ({"sigma": float("nan")}, r"sigma\n.* finite"),
        ({"sub_batches": 0}, r"sub_batches\n.* greater than or equal to 1"),
        ({"gradient": "clean"}, "'perturbed' or 'objective'"),
        ({"form": "looped"}, "'auto', 'sequential', 'vmapped' or 'grouped'"),
    ],
)
def test_wrong_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(make_context(), damp(**changes))


def test_more_parts_than_images_are_refused_in_the_first_batch() -> None:
    with pytest.raises(EwsError, match="sub_batches 4 is too many for the 3 images of a batch; valid: 1 to 3"):
        make(make_context(), damp()).gradients(make_batch(size=3))
