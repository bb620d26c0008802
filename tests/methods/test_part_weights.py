"""SAM and ASAM whose sub-batches share statistics, against a network written out with M copies of every parameter."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import DROPOUT, EWS, TRADES
from helpers.sharpness import (
    BOTH,
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
from torch.overrides import _len_torch_function_stack

from ews.core.errors import EwsError
from ews.methods.adversarial_objective import ADVERSARIAL
from ews.methods.component import Batch, Metrics
from ews.methods.part_weights import PartWeights
from ews.methods.parts import kernels_and_scales, sizes
from ews.models.network import Network
from ews.models.subnet import Subnet

Parameters = dict[str, Tensor]
WHAT = ("weight", "bias")
SEARCHES = ["learned", "random", "l1_norm", "gradient", "bandit"]


def over_views(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return cross_entropy(logits[0], labels) + logits.var(0, unbiased=False).mean()


def written_out(copies: list[Parameters], images: Tensor, own: list[int], subnet: Subnet | None) -> Tensor:
    """A ResNet-8, one image at a time by the weights of its part; statistics by hand, over all images.

    Args:
        copies: by part, the network's parameters by name.
        images: [N, 3, H, W].
        own: by image, its part.
        subnet: channels to keep; all paths are kept.
    """

    def conv(x: Tensor, name: str, stride: int = 1, rows: Any = slice(None), columns: Any = slice(None)) -> Tensor:
        weights = [parameters[name][rows][:, columns] for parameters in copies]
        each = zip(x, own, strict=True)
        return torch.cat([F.conv2d(image[None], weights[part], stride=stride, padding=1) for image, part in each])

    def norm(x: Tensor, name: str, kept: Any = slice(None)) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scale, shift = (torch.stack([copies[part][f"{name}.{what}"][kept] for part in own]) for what in WHAT)
        return (x - mean) / (variance + 1e-5).sqrt() * scale[:, :, None, None] + shift[:, :, None, None]

    x = norm(conv((images - 0.5) / 0.2, "stem.weight"), "norm").relu()
    for block in range(3):
        name, stride = f"blocks.{block}", 1 if block == 0 else 2
        kept = slice(None) if subnet is None else subnet.blocks[block].channels[0]
        hidden = norm(conv(x, f"{name}.convs.0.weight", stride, rows=kept), f"{name}.norms.0", kept).relu()
        out = norm(conv(hidden, f"{name}.convs.1.weight", columns=kept), f"{name}.norms.1")
        short = x[:, :, ::stride, ::stride]
        extra = out.shape[1] - short.shape[1]
        x = (out + F.pad(short, (0, 0, 0, 0, extra // 2, extra - extra // 2))).relu()
    heads = [(copies[part]["head.weight"], copies[part]["head.bias"]) for part in own]
    return torch.stack([weight @ image + bias for image, (weight, bias) in zip(x.mean((2, 3)), heads, strict=True)])


def reference(
    method: dict[str, Any], network: Network, batch: Batch, attacked: Tensor | None, subnet: Subnet | None
) -> tuple[Parameters, float]:
    """Return the gradient as M devices have it, and the loss at w."""
    views, count = batch.images.shape[:2]
    kernels = {id(weight) for weight in kernels_and_scales(network)}
    plain = {name: value.detach().clone() for name, value in network.named_parameters()}
    scales = {
        name: value.detach().abs() if method["name"] == "asam" and id(value) in kernels else torch.ones_like(value)
        for name, value in network.named_parameters()
    }
    counts = sizes(count, method["sub_batches"])
    own = [part for part, images in enumerate(counts) for _ in range(images)] * views

    def loss(copies: list[Parameters]) -> Tensor:
        def logits(images: Tensor, subnet: Subnet | None = None) -> Tensor:
            return written_out(copies, images.flatten(0, 1), own, subnet)

        full = logits(batch.images)
        total = over_views(full.unflatten(0, (views, count)), batch.labels, F.cross_entropy)
        terms = [(1.0, batch.images, full)]
        if attacked is not None:
            robust = logits(attacked)
            total = total + 6.0 * kl(full, robust)
            terms.append((6.0, attacked, robust))
        for weight, images, teacher in terms if subnet is not None else []:
            total = total + 0.3 * weight * kl(teacher.detach(), logits(images, subnet))
        return total

    def slopes(copies: list[Parameters]) -> tuple[list[Parameters], float]:
        leaves = [{name: value.clone().requires_grad_() for name, value in part.items()} for part in copies]
        value = loss(leaves)
        value.backward()
        return [{name: leaf.grad for name, leaf in part.items()} for part in leaves], value.item()  # type: ignore[misc]

    first, value = slopes([plain] * len(counts))
    moved = []
    for g in first:
        norm = torch.stack([(scales[name] * g[name]).square().sum() for name in g]).sum().sqrt()
        moved.append({name: plain[name] + method["rho"] * scales[name] ** 2 * g[name] / norm for name in g})
    second, _ = slopes(moved)
    return {name: sum(g[name] for g in second) for name in plain}, value  # type: ignore[misc]


@pytest.mark.parametrize(
    ("sub_batches", "views", "size"), [(2, 1, 6), (3, 2, 8), (8, 1, 5)], ids=["even", "uneven-views", "last"]
)
@pytest.mark.parametrize("others", [[], [TRADES]], ids=["alone", "trades"])
@pytest.mark.parametrize("extras", [[], [EWS]], ids=["", "ews"])
@pytest.mark.parametrize("method", BOTH)
def test_the_gradient_of_m_devices_that_share_statistics(
    method: dict[str, Any], others: list[Any], extras: list[Any], sub_batches: int, views: int, size: int
) -> None:
    method = {**method, "sub_batches": sub_batches, "statistics": "batch"}
    context = replace(make_context(), augmentation_loss=over_views)
    other = copy.deepcopy(context.network)
    composed, batch = make(context, *others, method, *extras), make_batch(2, views=views, size=size)
    seen: list[Batch] = []
    composed.wrappers[0].begin = lambda batch, objective: seen.append(batch)  # type: ignore[method-assign]
    before = state(context.network)
    metrics = composed.gradients(batch)
    subnet = composed.extras[0].subnet if extras else None  # type: ignore[attr-defined]
    expected, loss = reference(method, other, batch, seen[0].extra.get(ADVERSARIAL), subnet)
    assert_close(gradients(context.network), expected)
    assert float(metrics["loss"]) + 0.3 * float(metrics.get("distillation", 0.0)) == pytest.approx(loss, rel=1e-10)
    for name, value in context.network.named_parameters():
        assert torch.equal(value.detach(), before[name]), name


@pytest.mark.parametrize("others", [[], [EWS], [DROPOUT]], ids=["alone", "ews", "dropout"])
@pytest.mark.parametrize("method", BOTH)
def test_running_statistics_and_metrics_are_vanilla_s(method: dict[str, Any], others: list[Any]) -> None:
    found = []
    for more in ([], [{**method, "sub_batches": 4, "statistics": "batch"}]):
        context = make_context()
        composed = make(context, *more, *others)
        torch.manual_seed(0)
        metrics = composed.gradients(make_batch(views=2))
        found.append((dict(context.network.named_buffers()), {name: one.double() for name, one in metrics.items()}))
    assert_close(found[0][0], found[1][0])
    assert_close(found[0][1], found[1][1])


@pytest.mark.parametrize("others", [[], [EWS]], ids=["alone", "ews"])
@pytest.mark.parametrize("method", BOTH)
def test_parts_of_the_same_images_step_alike(method: dict[str, Any], others: list[Any]) -> None:
    """Then every e is that of the whole batch, and the gradient that of one part."""
    half, found = make_batch(size=5), []
    batch = replace(half, images=half.images.repeat(1, 2, 1, 1, 1), labels=half.labels.repeat(2))
    for sub_batches in (1, 2):
        context = make_context()
        make(context, {**method, "sub_batches": sub_batches, "statistics": "batch"}, *others).gradients(batch)
        found.append(gradients(context.network))
    assert_close(*found)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("method", BOTH)
def test_searches_see_the_pass_at_w(method: dict[str, Any], search: str) -> None:
    found = []
    for more in ([], [{**method, "sub_batches": 4, "statistics": "batch"}]):
        context = make_context()
        composed = make(context, *more, {**EWS, "search": search})
        for iteration in range(1, 5):
            composed.gradients(make_batch(iteration))
            context.network.zero_grad()
        found.append(composed.extras[0].subnet)  # type: ignore[attr-defined]
    for one, other in zip(found[0].blocks, found[1].blocks, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.channels, other.channels, strict=True))


@pytest.mark.parametrize("method", BOTH)
def test_in_bfloat16_and_nhwc_it_is_nearly_the_same(method: dict[str, Any]) -> None:
    found = []
    for bfloat16 in (False, True):
        context = make_context()
        network = context.network.float().to(memory_format=torch.channels_last)
        before = state(network)
        context = replace(context, bfloat16=bfloat16, channels_last=True)
        composed = make(context, {**method, "sub_batches": 4, "statistics": "batch"}, EWS)
        composed.gradients(replace(make_batch(), images=make_batch().images.float()))
        assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
        found.append(torch.cat([value.grad.flatten() for value in network.parameters()]))  # type: ignore[union-attr]
    assert found[1].dtype == torch.float32
    assert float(F.cosine_similarity(found[0], found[1], dim=0)) > 0.9


@pytest.mark.parametrize("fails_in", [1, 2])
@pytest.mark.parametrize("method", BOTH)
def test_an_error_leaves_the_network_as_it_was(method: dict[str, Any], fails_in: int) -> None:
    context, calls = make_context(), []
    network, before = context.network, state(context.network)
    wrapper = wrapper_of(make(context, {**method, "sub_batches": 3, "statistics": "batch"}))

    def fails(batch: Batch) -> Metrics:
        calls.append(network.norm.track_running_stats)
        if len(calls) == fails_in:
            raise KeyboardInterrupt
        network(batch.images[0]).sum().backward()
        return {}

    with pytest.raises(KeyboardInterrupt):
        wrapper(fails, make_batch())
    assert calls == [True, False][:fails_in] and _len_torch_function_stack() == 0
    assert network.norm.track_running_stats
    for name, value in network.named_parameters():
        assert torch.equal(value.detach(), before[name]), name


class Scale(nn.Module):
    """Parameters that no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([2.0, 3.0]))
        self.head = nn.Linear(2, 2, bias=False)

    def capture_suspended(self) -> Any:
        return nullcontext()


def test_functions_of_weights_have_parts_and_what_is_no_layer_is_refused() -> None:
    scale, x = Scale(), torch.rand(4, 2)
    copies = [[torch.full((2,), float(part)), torch.full((2, 2), float(part))] for part in (1, 2)]
    with PartWeights([scale.factor, scale.head.weight], copies, views=1, images=4):
        assert scale.factor.shape == (2,) and scale.factor.requires_grad
        halves = scale.head.weight.chunk(2)
        rows = torch.cat([halves[1] * scale.factor, halves[0]])
        found = F.linear(x, rows)
        with pytest.raises(EwsError, match=r"weights of its own in mul; valid: convolutions.* Set statistics: part"):
            x * scale.factor
        with pytest.raises(EwsError, match="weights of its own in linear"):
            F.linear(scale.head.weight, scale.head.weight)
    # Two images to a part: rows of 1 and 1 in the first one, of 4 and 2 in the second one.
    sums = x.sum(1)
    expected = torch.cat([torch.stack([sums, sums], 1)[:2], torch.stack([4 * sums, 2 * sums], 1)[2:]])
    torch.testing.assert_close(found, expected)
    assert torch.equal(scale.factor.detach(), torch.tensor([2.0, 3.0]))


@pytest.mark.parametrize("sub_batches", [2, 3])
def test_a_penalty_on_the_weights_counts_by_the_mean_over_the_parts(sub_batches: int) -> None:
    """|b|^2 / 2 has the slope b + e_i in part i: g_i is b times the part's share of the images, so e is rho b / |b|."""
    context = make_context()
    bias = context.network.head.bias
    wrapper = wrapper_of(make(context, {**SAM, "sub_batches": sub_batches, "statistics": "batch"}))

    def compute(batch: Batch) -> Metrics:
        (bias.square().sum() / 2).backward()
        return {}

    before = bias.detach().clone()
    wrapper(compute, make_batch(size=7))
    assert bias.grad is not None
    torch.testing.assert_close(bias.grad, before + SAM["rho"] * before / before.norm())


@pytest.mark.parametrize("method", BOTH)
def test_by_the_part_it_is_the_mean_of_the_parts_bit_for_bit(method: dict[str, Any]) -> None:
    apart = {**method, "statistics": "part"}
    context, batch = make_context(), make_batch()
    make(context, {**apart, "sub_batches": 2}).gradients(batch)
    total: Parameters = {}
    for chosen in (slice(0, 5), slice(5, 10)):
        alone = make_context()
        part = replace(batch, images=batch.images[:, chosen], labels=batch.labels[chosen])
        make(alone, {**apart, "sub_batches": 1}).gradients(part)
        for name, value in gradients(alone.network).items():
            total[name] = 0.5 * value if name not in total else total[name] + 0.5 * value
    assert_same(gradients(context.network), total)
    together = make_context()
    make(together, {**method, "sub_batches": 2, "statistics": "batch"}).gradients(batch)
    assert not torch.allclose(gradients(together.network)["stem.weight"], total["stem.weight"], rtol=0.02)
