"""PGD against closed forms, its bounds, and what it must leave untouched."""

import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.science import build_network
from torch import Tensor, nn

from ews.attacks.mode import frozen_statistics
from ews.attacks.pgd import pgd
from ews.core.seeds import torch_stream

EPSILON = 8 / 255
MADRY = {"epsilon": EPSILON, "step_size": 2 / 255, "steps": 10, "start": "uniform", "loss": "cross_entropy"}


def images(count: int = 6, *, dtype: torch.dtype = torch.float32, size: int = 8) -> Tensor:
    """Images that touch both ends of the range."""
    drawn = torch.rand(count, 3, size, size, generator=torch_stream("images"), dtype=torch.float64)
    return (1.2 * drawn - 0.1).clamp(0, 1).to(dtype)


def linear(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    generator = torch_stream("linear")
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model.to(dtype)


def network(*, name: str = "cifar_resnet") -> nn.Module:
    architecture = {"name": "thin", "network": name, "depth": 8, "width": 4}
    return build_network(architecture, classes=5, mean=[0.4] * 3, std=[0.2] * 3, generator=torch_stream("network"))


LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("start", ["uniform", "none", "gaussian"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_linear_model_it_reaches_the_worst_case_in_closed_form(start, dtype):
    x, labels, model = images(dtype=dtype), torch.tensor([0, 1, 1, 0, 1, 0]), linear(dtype)
    found = pgd(model, x, labels, **MADRY | {"start": start}, generator=torch_stream("start"))
    weight = model[1].weight.detach()
    away = (weight[1 - labels] - weight[labels]).view_as(x).sign()
    assert found.dtype == dtype
    torch.testing.assert_close(found, (x + EPSILON * away).clamp(0, 1), atol=1e-7, rtol=0)


def test_kl_on_a_linear_model_goes_to_one_of_the_two_ends_of_the_worst_direction():
    """KL from a fixed distribution is convex in the margin, so that the ascent ends at a corner of the ball."""
    x, model = images(dtype=torch.float64), linear(torch.float64)
    reference = model(x)
    settings = MADRY | {"loss": "kl"}
    found = pgd(model, x, LABELS, **settings, generator=torch_stream("start"), reference=reference)
    direction = (model[1].weight[0] - model[1].weight[1]).detach().view(1, 3, 8, 8).sign()
    ends = [(x + sign * EPSILON * direction).clamp(0, 1) for sign in (1, -1)]
    for index, one in enumerate(found):
        assert any(torch.allclose(one, end[index], atol=1e-12, rtol=0) for end in ends)


@pytest.mark.parametrize("start", ["uniform", "gaussian", "none"])
@pytest.mark.parametrize("epsilon", [0.0, 1 / 255, EPSILON, 0.5, 1.0])
@pytest.mark.parametrize("loss", ["cross_entropy", "kl"])
@pytest.mark.parametrize("clamp_start", [True, False])
def test_the_result_is_in_the_ball_and_in_the_range(start, epsilon, loss, clamp_start):
    model, x = network().eval(), images()
    settings = {"epsilon": epsilon, "step_size": 0.1, "steps": 3, "start": start, "loss": loss}
    settings["clamp_start"] = clamp_start
    found = pgd(model, x, LABELS, **settings, generator=torch_stream("start"), reference=model(x))
    assert (found - x).abs().max() <= epsilon + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    assert not found.requires_grad and found.shape == x.shape


@pytest.mark.parametrize("steps", [1, 4])
def test_a_start_that_is_not_clamped_is_where_the_first_gradient_is_taken(steps):
    """TRADES' loop written out: x + 0.001 z as drawn; the ball, then [0, 1], after each step."""
    model, x = network().double().eval(), images(dtype=torch.float64)
    settings = MADRY | {"start": "gaussian", "loss": "kl", "steps": steps}
    seen = []

    def watched(value: Tensor) -> Tensor:
        seen.append(value.detach())
        return model(value)

    clean = model(x).detach().softmax(1)
    start = expected = x + 0.001 * torch.empty_like(x).normal_(generator=torch_stream("start"))
    for _ in range(steps):
        expected = expected.detach().requires_grad_()
        answer = model(expected).softmax(1)
        (slope,) = torch.autograd.grad((clean * (clean / answer).log()).sum(), expected)
        expected = expected.detach() + 2 / 255 * slope.sign()
        expected = torch.min(torch.max(expected, x - EPSILON), x + EPSILON).clamp(0, 1)
    generator = torch_stream("start")
    found = pgd(watched, x, LABELS, **settings, generator=generator, reference=model(x), clamp_start=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(seen[0], start)
    assert start.min() < 0 and start.max() > 1
    # Clamped, it begins elsewhere, and takes another way.
    seen.clear()
    generator = torch_stream("start")
    other = pgd(watched, x, LABELS, **settings, generator=generator, reference=model(x), clamp_start=True)
    assert torch.equal(seen[0], start.clamp(0, 1)) and not torch.equal(other, found)


def test_it_raises_the_loss_of_a_network():
    model, x = network().eval(), images()
    found = pgd(model, x, LABELS, **MADRY, generator=torch_stream("start"))
    with torch.no_grad():
        assert F.cross_entropy(model(found), LABELS) > F.cross_entropy(model(x), LABELS) + 0.01


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_weights_and_running_statistics_stay_bit_identical(training):
    model, x = network().train(training), images()
    # Not the initial statistics, which an accidental reset would restore.
    model.train()(x)
    model.train(training)
    for index, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, float(index))
    state = copy.deepcopy(model.state_dict())
    untouched = x.clone()
    with frozen_statistics(model):
        pgd(model, x, LABELS, **MADRY, generator=torch_stream("start"))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for index, parameter in enumerate(model.parameters()):
        assert torch.equal(parameter.grad, torch.full_like(parameter, float(index)))
    assert torch.equal(x, untouched) and not x.requires_grad
    # Without it, the statistics move in training mode: the test above can fail.
    pgd(model, x, LABELS, **MADRY, generator=torch_stream("start"))
    moved = any(not torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert moved == training


@pytest.mark.parametrize("training", [True, False])
def test_freezing_the_statistics_does_not_change_the_outputs(training):
    model, x = network(), images()
    model.train()(x)
    model.train(training)
    twin = copy.deepcopy(model)
    with frozen_statistics(model):
        frozen = model(x)
    assert torch.equal(frozen, twin(x))


def test_freezing_nests_survives_errors_and_a_change_of_mode_and_leaves_other_layers_alone():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, track_running_stats=False))
    x = images()
    with pytest.raises(RuntimeError, match="inside"), frozen_statistics(model):
        with frozen_statistics(model):
            model(x)
        model.eval()(x)
        model.train()(x)
        raise RuntimeError("inside")
    assert model[0].num_batches_tracked == 0
    model(x)
    assert model[0].num_batches_tracked == 1 and not model[1].track_running_stats


def test_it_works_where_gradients_are_off_and_leaves_them_off():
    model, x = linear(), images()
    with torch.no_grad():
        found = pgd(model, x, LABELS % 2, **MADRY | {"start": "none"}, generator=None)
        assert not torch.is_grad_enabled()
    assert (found - x).abs().max() == pytest.approx(EPSILON, abs=1e-6)


def test_the_start_is_a_function_of_the_generator_whatever_the_memory_format():
    model, x = network().eval(), images()
    first, second, other = (
        pgd(model, value, LABELS, **MADRY | {"steps": 1}, generator=torch_stream(key))
        for value, key in ((x, 0), (x.contiguous(memory_format=torch.channels_last), 0), (x, 1))
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_an_image_is_attacked_alike_in_any_batch():
    model, x = linear(torch.float64), images(dtype=torch.float64)
    settings = MADRY | {"start": "none", "steps": 3}
    whole = pgd(model, x, LABELS % 2, **settings, generator=None)
    for index in range(len(x)):
        part = slice(index, index + 1)
        assert torch.equal(whole[part], pgd(model, x[part], LABELS[part] % 2, **settings, generator=None))


@pytest.mark.parametrize(("start", "bound"), [("uniform", EPSILON), ("gaussian", 0.01)])
def test_starts_have_the_distribution_that_their_names_say(start, bound):
    """One step that no gradient moves: the result is the start."""
    x = torch.full((4, 3, 32, 32), 0.5, dtype=torch.float64)
    settings = MADRY | {"start": start, "steps": 1}
    delta = pgd(lambda x: 0 * x.flatten(1)[:, :2], x, LABELS[:4] % 2, **settings, generator=torch_stream("d")) - 0.5
    assert delta.abs().max() <= bound
    expected = EPSILON / 3**0.5 if start == "uniform" else 0.001
    assert delta.std().item() == pytest.approx(expected, rel=0.03)
    assert abs(delta.mean().item()) < 0.1 * expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({"epsilon": value}, r"epsilon: .* is not in \[0, 1\]") for value in (-0.1, 1.5, 8, float("nan"))),
        *(({"step_size": value}, "step_size: .* positive") for value in (0, -0.1, float("inf"), float("nan"))),
        *(({"steps": value}, "steps: .* at least 1") for value in (0, -1, 2.5, True)),
        ({"start": "zero"}, "start: 'zero' is none of uniform, gaussian, none"),
        ({"loss": "margin"}, "loss: 'margin' is none of cross_entropy, kl"),
        ({"loss": "kl"}, "reference: kl compares"),
        ({"start": "uniform", "generator": 0}, r"generator: a int; torch\.Generator\(\)"),
    ],
)
def test_bad_parameters_are_named_with_their_valid_values_before_the_network_runs(change, message):
    def never(_: Tensor) -> Tensor:
        raise AssertionError("the network ran")

    with pytest.raises(ValueError, match=message):
        pgd(never, images(), LABELS, **{"generator": None, **MADRY, **change})


def test_images_must_be_floating_and_have_labels():
    with pytest.raises(ValueError, match=r"images: torch\.uint8"):
        pgd(linear(), images().to(torch.uint8), LABELS, **MADRY, generator=None)
    with pytest.raises(ValueError, match="labels: 5 for 6 images"):
        pgd(linear(), images(), LABELS[:5], **MADRY, generator=None)


def test_logits_of_half_precision_are_attacked_in_single():
    x, model = images(), linear()
    found = pgd(lambda x: model(x).bfloat16(), x, LABELS % 2, **MADRY | {"start": "none"}, generator=None)
    assert torch.equal(found, pgd(model, x, LABELS % 2, **MADRY | {"start": "none"}, generator=None))


def test_logits_that_cannot_be_attacked_are_named():
    settings = MADRY | {"start": "none", "generator": None}
    with pytest.raises(ValueError, match=r"no gradient leads from its output to the images; leave detach\(\)"):
        pgd(lambda x: linear()(x).detach(), images(), LABELS % 2, **settings)
    with pytest.raises(ValueError, match=r"reference: of shape \[6, 3\]; that of the logits is needed, \[6, 2\]"):
        pgd(linear(), images(), LABELS % 2, **settings | {"loss": "kl", "reference": torch.zeros(6, 3)})
