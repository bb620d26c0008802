"""Factors on a network's weights that make it say of clean images what it says of corrupted ones: least squares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ews.methods.parts import kernels_and_scales
from ews.pipeline.evaluate.predict import BATCH

Factors = Mapping[str, Tensor]
"""By the name of a weight, a factor for each of its elements, less 1: zeros change nothing."""

HISTORY = 10
"""Steps that L-BFGS remembers."""


@dataclass(frozen=True, eq=False)
class Effect:
    """What a corruption does to a network's logits.

    Attributes:
        images: the clean images, float32 [n, 3, H, W] in [0, 1].
        clean: their logits, float32 [n, classes].
        corrupted: those of the corrupted images.
    """

    images: Tensor
    clean: Tensor
    corrupted: Tensor

    @property
    def size(self) -> float:
        """Sum of the squared differences of the centred logits."""
        return squares(self.corrupted - self.clean)


def logits(network: nn.Module, images: Tensor, factors: Factors | None = None) -> Tensor:
    """Return the logits [n, classes] at the weights, each times its factor; no gradient."""
    with torch.no_grad():
        return torch.cat([_logits(network, part, factors or {}) for part in images.split(BATCH)])


def fit(network: nn.Module, effect: Effect, *, steps: int) -> dict[str, Tensor]:
    """Return factors that mimic an effect on its images.

    From factors of 1 on, L-BFGS with the strong Wolfe conditions lowers

        sum_i ||c(M(w * xi; x_i)) - c(M(w; g(x_i)))||^2 / sum_i ||c(M(w; x_i)) - c(M(w; g(x_i)))||^2

    over a factor xi for each element of the kernels of convolutions and linear layers and of the scales of
    normalisations, what DAMP perturbs; c takes from the logits their mean over the classes, which the softmax does not
    see. There are more factors than equations: it is the number of steps that keeps them near 1. The sums are over all
    images, so the size of a pass changes nothing but rounding.

    Args:
        network: in evaluation mode, its parameters without gradients.
        effect: on the images that are fitted; of a size above 0.
        steps: of L-BFGS, at most.

    Returns:
        the factors less 1, detached.
    """
    factors = {name: torch.zeros_like(weight, requires_grad=True) for name, weight in perturbed(network).items()}
    size = effect.size
    optimiser = torch.optim.LBFGS(
        list(factors.values()), max_iter=steps, history_size=HISTORY, line_search_fn="strong_wolfe"
    )

    def objective() -> float:
        optimiser.zero_grad()
        total = 0.0
        for images, wanted in zip(effect.images.split(BATCH), effect.corrupted.split(BATCH), strict=True):
            left = centred(_logits(network, images, factors) - wanted).square().sum() / size
            left.backward()
            total += float(left.detach())
        return total

    with torch.enable_grad():
        optimiser.step(objective)
    return {name: factor.detach() for name, factor in factors.items()}


def draw(network: nn.Module, size: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Return factors from N(1, size^2), less 1, as DAMP draws them.

    Args:
        network: whose weights they are for.
        size: their standard deviation, at least 0.
        generator: on the CPU, so that all devices get the same.
    """
    return {
        name: (size * torch.randn(weight.shape, generator=generator)).to(weight.device)
        for name, weight in perturbed(network).items()
    }


def perturbed(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights that get factors, detached, by name."""
    chosen = {id(weight) for weight in kernels_and_scales(network)}
    return {name: weight.detach() for name, weight in network.named_parameters() if id(weight) in chosen}


def spread(factors: Factors) -> float:
    """Return the root mean square of the factors less 1: what sigma is of DAMP's draws."""
    count = sum(factor.numel() for factor in factors.values())
    return float(torch.stack([factor.double().square().sum() for factor in factors.values()]).sum() / count) ** 0.5


def centred(values: Tensor) -> Tensor:
    """Return logits [n, classes] less their mean over the classes."""
    return values - values.mean(dim=1, keepdim=True)


def squares(values: Tensor) -> float:
    """Return the sum of the squares of centred logits, in float64."""
    return float(centred(values.double()).square().sum())


def _logits(network: nn.Module, images: Tensor, factors: Factors) -> Tensor:
    weights = dict(_multiplied(network, factors))
    found: Tensor = functional_call(network, weights, (images,)).float()
    return found


def _multiplied(network: nn.Module, factors: Factors) -> Iterator[tuple[str, Tensor]]:
    for name, weight in network.named_parameters():
        if name in factors:
            yield name, weight.detach() * (1 + factors[name])
