"""What a composed method adds to the gradients, and in which order its components act."""

from collections.abc import Callable
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
from ews.methods.component import Batch, Context, Gradients, Metrics, Objective, Pass, Target, Wrapper
from ews.methods.compose import Method
from ews.methods.ews.ews import Ews, part_of
from ews.methods.objective import CrossEntropy

EWS = methods.EWS | {"weight": 0.8, "interval": 3}


def make_context(*, smoothing: float = 0.0, loss: Callable[..., Tensor] = first_view) -> Context:
    network = build_network(
        {"network": "cifar_resnet", "depth": 8, "width": 6},
        classes=4,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        generator=torch_stream("test", "init"),
    ).double()
    return Context(
        network=network, augmentation_loss=loss, seed=5, label_smoothing=smoothing, device=torch.device("cpu")
    )


def make_batch(iteration: int = 1, *, views: int = 1, size: int = 10) -> Batch:
    generator = torch_stream("test", "batch", iteration)
    images = torch.rand(views, size, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(images=images, labels=torch.arange(size) % 4, iteration=iteration, epoch=0)


def make(context: Context, *components: dict[str, Any]) -> Method:
    method = build_method(context, *components)
    method.begin_epoch(0)
    return method


def gradients(network: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def ews_of(method: Method) -> Ews:
    (extra,) = method.extras
    assert isinstance(extra, Ews)
    return extra


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("reduction", ["batchmean", "mean"])
@pytest.mark.parametrize("batch_fraction", [1.0, 0.45])
def test_gradient_is_that_of_the_sum_of_losses(views: int, reduction: str, batch_fraction: float) -> None:
    def over_views(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        return cross_entropy(logits[0], labels) + logits.var(0, unbiased=False).mean()

    context = make_context(smoothing=0.1, loss=over_views)
    method = make(context, {**EWS, "reduction": reduction, "batch_fraction": batch_fraction})
    batch = make_batch(views=views)
    metrics = method.gradients(batch)
    separate = gradients(context.network)

    context.network.zero_grad()
    logits = context.network(batch.images.flatten(0, 1)).unflatten(0, (views, 10))
    kept = 10 if batch_fraction == 1 else 5
    images = batch.images[:, :kept].flatten(0, 1)
    student = context.network(images, subnet=ews_of(method).subnet).log_softmax(1).unflatten(0, (views, kept))
    teacher = logits[:, :kept].detach().log_softmax(2)
    # KL(full || subnet) of each view apart, then their mean.
    terms = [(t.exp() * (t - s)).sum(1).mean() for t, s in zip(teacher, student, strict=True)]
    divergence = torch.stack(terms).mean() / (4 if reduction == "mean" else 1)
    classification = F.cross_entropy(logits[0], batch.labels, label_smoothing=0.1)
    loss = classification + logits.var(0, unbiased=False).mean()
    (loss + 0.8 * divergence).backward()
    joint = gradients(context.network)
    assert len(separate) == len(joint) == len(list(context.network.parameters()))
    for one, other in zip(separate, joint, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(metrics["loss"], loss.detach(), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(metrics["distillation"].double(), divergence.detach(), rtol=1e-5, atol=0.0)
    assert divergence > 1e-4


@pytest.mark.parametrize(
    ("images", "fraction", "part"),
    # In floating point 0.07 * 100 and 0.55 * 100 are above, 0.29 * 100 is below the whole number.
    [
        (100, 0.07, 7),
        (100, 0.55, 55),
        (100, 0.29, 29),
        (10, 0.45, 5),
        (128, 0.5, 64),
        (3, 0.01, 1),
        (4, 1e-9, 1),
        (7, 1.0, 7),
    ],
)
def test_part_of_a_batch_is_rounded_up_but_not_past_a_whole_product(images: int, fraction: float, part: int) -> None:
    assert part_of(images, fraction) == part


def test_cross_entropy_distillation_uses_the_labels() -> None:
    context = make_context()
    method = make(context, {**EWS, "distillation": "ce"})
    batch = make_batch()
    metrics = method.gradients(batch)
    subnet = context.network(batch.images[0], subnet=ews_of(method).subnet)
    expected = F.cross_entropy(subnet, batch.labels).detach()
    torch.testing.assert_close(metrics["distillation"].double(), expected, rtol=1e-5, atol=0.0)


def test_controller_is_updated_every_kth_iteration_before_the_weights_change() -> None:
    context = make_context()
    method = make(context, EWS)
    accuracies = {}
    for iteration in range(1, 9):
        batch = make_batch(iteration)
        method.gradients(batch)
        logits = context.network(batch.images[0])
        accuracies[iteration] = float((logits.argmax(1) == batch.labels).float().mean())
        with torch.no_grad():
            for parameter in context.network.parameters():
                parameter -= 0.1 * parameter.grad  # type: ignore[operator]
        context.network.zero_grad()
        accuracies[-iteration] = float((context.network(batch.images[0]).argmax(1) == batch.labels).float().mean())
    rows = method.tables()["controller.csv"].rows
    assert [row["iteration"] for row in rows] == [3, 6]
    assert [row["epoch"] for row in rows] == [1, 1]
    for row in rows:
        assert row["full_accuracy"] == pytest.approx(accuracies[row["iteration"]])
        assert row["reward"] == row["subnet_accuracy"]
        # Two subnets on ten images.
        assert (row["reward"] * 20) == pytest.approx(round(row["reward"] * 20))
    # Steps of this size change answers: the accuracies above are of the weights before them.
    assert any(accuracies[i] != accuracies[-i] for i in range(1, 9))


def test_search_measures_subnets_with_the_current_weights_and_leaves_the_network_alone() -> None:
    context = make_context()
    method = make(context, {**EWS, "interval": 1, "weight": 0.0})
    extra = ews_of(method)
    measured: list[tuple[Any, Tensor]] = []
    update = extra.search.update

    def spy(reward: Callable[[list[Any]], Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        def spied(subnets: list[Any]) -> Tensor:
            values = reward(subnets)
            assert not values.requires_grad
            measured.extend(zip(subnets, values, strict=True))
            return values

        return update(spied, generator)

    extra.search.update = spy  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in context.network.state_dict().items()}
    batch = make_batch(views=2)
    extra.begin(batch, method.objective)
    assert len(measured) == 2
    for subnet, value in measured:
        right = context.network(batch.images[0], subnet=subnet).argmax(1) == batch.labels
        assert float(value) == pytest.approx(float(right.float().mean()))
    for name, value in context.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in context.network.parameters())


def test_kept_counts_add_up() -> None:
    method = make(make_context(), EWS)
    for iteration in range(1, 6):
        method.gradients(make_batch(iteration))
    rows = method.tables()["kept.csv"].rows
    space = ews_of(method).search.space
    for b, (block, kept) in enumerate(zip(space.blocks, ews_of(method).search.kept, strict=True)):
        for layer, (channels, count) in enumerate(zip(block.channels, kept, strict=True)):
            times = [row["kept"] for row in rows if (row["block"], row["layer"]) == (b, layer)]
            assert len(times) == channels and sum(times) == 5 * count and max(times) <= 5
    assert {row["subnets"] for row in rows} == {5}


def test_subnets_depend_on_the_epoch_alone() -> None:
    def sampled(epoch: int, *, iterations_before: int) -> list[Tensor]:
        method = make(make_context(), {**EWS, "search": "random"})
        for iteration in range(iterations_before):
            method.gradients(make_batch(iteration + 1))
        method.begin_epoch(epoch)
        method.gradients(make_batch(100))
        return [indices for block in ews_of(method).subnet.blocks for indices in block.channels]

    def alike(one: list[Tensor], other: list[Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    assert alike(sampled(1, iterations_before=0), sampled(1, iterations_before=2))
    assert not alike(sampled(1, iterations_before=0), sampled(2, iterations_before=0))


class Halves(Wrapper):
    """Mean of the gradients of a batch's two halves."""

    name = "halves"

    def __init__(self, calls: list[str], label: str) -> None:
        self.calls, self.label = calls, label

    def __call__(self, compute: Gradients, batch: Batch) -> Metrics:
        self.calls.append(self.label)
        half = len(batch.labels) // 2
        for part in (slice(None, half), slice(half, None)):
            metrics = compute(Batch(batch.images[:, part], batch.labels[part], batch.iteration, batch.epoch))
        return metrics


class Twice(Objective):
    """Cross-entropy on prepared images, with two targets."""

    name = "twice"

    def __init__(self, context: Context) -> None:
        self.context, self.prepared = context, 0

    def prepare(self, batch: Batch) -> Batch:
        self.prepared += 1
        return Batch(batch.images, batch.labels, batch.iteration, batch.epoch, {"moved": batch.images * 0.9})

    def reward_input(self, batch: Batch) -> Tensor:
        return batch.extra["moved"][0]

    def __call__(self, batch: Batch) -> Pass:
        clean = self.context.view_logits(batch.images)
        moved = self.context.view_logits(batch.extra["moved"])
        targets = [
            Target(batch.images, clean.detach(), batch.labels),
            Target(batch.extra["moved"], moved.detach(), batch.labels, weight=6.0),
        ]
        return Pass(loss=F.cross_entropy(moved[0], batch.labels), targets=targets, metrics={})


def test_wrappers_wrap_and_preparation_happens_once() -> None:
    context = make_context()
    calls: list[str] = []
    method = Method(context, [Halves(calls, "inner"), Halves(calls, "outer"), make(context, EWS).extras[0]])
    batch = make_batch(3, size=12)
    method.gradients(batch)
    assert calls == ["outer", "inner", "inner"]
    assert len(method.tables()["controller.csv"].rows) == 1
    assert {row["subnets"] for row in method.tables()["kept.csv"].rows} == {1}


def test_an_objective_says_what_extras_distil_on() -> None:
    context = make_context()
    objective = Twice(context)
    method = Method(context, [objective, make(context, EWS).extras[0]])
    batch = make_batch()
    metrics = method.gradients(batch)
    assert objective.prepared == 1
    total = 0.0
    for weight, images in ((1.0, batch.images[0]), (6.0, batch.images[0] * 0.9)):
        full = context.network(images).log_softmax(1)
        subnet = context.network(images, subnet=ews_of(method).subnet).log_softmax(1)
        total += weight * float((full.exp() * (full - subnet)).sum(1).mean().detach())
    assert float(metrics["distillation"]) == pytest.approx(total, rel=1e-5)


def test_one_objective_at_most() -> None:
    context = make_context()
    assert isinstance(make(context).objective, CrossEntropy)
    assert isinstance(Method(context, [Twice(context)]).objective, Twice)


DROPOUT: dict[str, Any] = {"name": "dropout", "rate": 0.3, "place": "hidden"}


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([DROPOUT, DROPOUT], r"dropout\+dropout: a component stands twice"),
        ([{"name": "at"}, {"name": "trades"}], "at and trades are both objectives"),
    ],
)
def test_bad_components_are_refused(components: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        make(make_context(), *components)
