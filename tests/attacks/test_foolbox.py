"""Our PGD against another library's, from the same start and without restarts: the same perturbations."""

import eagerpy
import foolbox
import pytest
import torch
from torch import Tensor, nn

from ews.attacks.ball import distances
from ews.attacks.pgd import pgd
from ews.core.seeds import torch_stream


class FromLinf(foolbox.attacks.LinfProjectedGradientDescentAttack):
    """The library's attack, with a start that is given in place of one that it draws."""

    def __init__(self, initial: Tensor, *, step_size: float, steps: int) -> None:
        super().__init__(abs_stepsize=step_size, steps=steps, random_start=True)
        self.initial = initial

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        return eagerpy.astensor(self.initial)


class FromL2(foolbox.attacks.L2ProjectedGradientDescentAttack):
    """That in the Euclidean norm, with a start that is given in place of one that it draws."""

    def __init__(self, initial: Tensor, *, step_size: float, steps: int) -> None:
        super().__init__(abs_stepsize=step_size, steps=steps, random_start=True)
        self.initial = initial

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        return eagerpy.astensor(self.initial)


def network() -> nn.Module:
    """A small network without symmetries, in float64: gradients are never zero by accident."""
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.Softplus(),
        nn.Flatten(),
        nn.LazyLinear(5),
    ).double()
    layers(torch.zeros(1, 3, 10, 10, dtype=torch.float64))
    generator = torch_stream("foolbox")
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return layers.eval()


@pytest.mark.parametrize("random", [False, True], ids=["from the image", "from a random start"])
@pytest.mark.parametrize(
    ("norm", "epsilon", "step_size", "steps"),
    [
        ("Linf", 8 / 255, 2 / 255, 20),
        ("Linf", 0.1, 0.007, 10),
        ("Linf", 0.5, 0.2, 7),
        ("L2", 0.5, 0.1, 20),
        ("L2", 2.0, 0.15, 10),
        ("L2", 4.0, 1.5, 7),
    ],
)
def test_perturbations_are_those_of_foolbox(random, norm, epsilon, step_size, steps):
    model = network()
    generator = torch_stream("images")
    # Some pixels are at the ends of the range, where clipping matters.
    images = (1.4 * torch.rand(12, 3, 10, 10, dtype=torch.float64, generator=generator) - 0.2).clamp(0, 1)
    labels = torch.randint(5, (12,), generator=generator)
    start = images
    if random:
        noise = 2 * torch.rand(images.shape, dtype=torch.float64, generator=generator) - 1
        start = (images + epsilon * noise / (1 if norm == "Linf" else 300**0.5)).clamp(0, 1)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = (FromLinf if norm == "Linf" else FromL2)(start, step_size=step_size, steps=steps)
    theirs = attack.run(wrapped, images, foolbox.criteria.Misclassification(labels), epsilon=epsilon)
    ours = pgd(
        model,
        images,
        labels,
        epsilon=epsilon,
        step_size=step_size,
        steps=steps,
        start="none",
        loss="cross_entropy",
        generator=None,
        initial=start,
        norm=norm,
    )
    assert theirs.dtype == torch.float64
    distance = distances(ours, images, norm)
    assert 0.9 * min(epsilon, steps * step_size) < distance.max() <= epsilon + 1e-12
    assert (ours - theirs).abs().max() <= 1e-6
