"""The images within a radius of others, in the maximum norm or the Euclidean one: steps, projections and starts."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ews.attacks.norms import NORMS, Norm
from ews.models.inputs import WrongInput


class Ball(Protocol):
    """What an attack does within a radius of its images [B, ...]."""

    def project(self, points: Tensor) -> Tensor:
        """Return points [B, ...] moved into the ball and into [0, 1]."""
        ...

    def step(self, points: Tensor, gradient: Tensor, size: float) -> Tensor:
        """Return points [B, ...] after a step of a length up the gradient, projected."""
        ...


@dataclass(frozen=True, eq=False)
class Linf:
    """Changes of each pixel by at most a radius; steps go along the gradient's sign."""

    low: Tensor
    high: Tensor

    def project(self, points: Tensor) -> Tensor:
        """Clamp each pixel."""
        return points.clamp(self.low, self.high)

    def step(self, points: Tensor, gradient: Tensor, size: float) -> Tensor:
        """Change each pixel by ``size`` along the gradient's sign."""
        return (points + size * gradient.sign()).clamp_(self.low, self.high)


@dataclass(frozen=True, eq=False)
class L2:
    """Changes of an image whose Euclidean length is at most a radius; steps go along the gradient."""

    center: Tensor
    epsilon: float

    def project(self, points: Tensor) -> Tensor:
        """Shorten changes that are too long, and clamp to [0, 1], which lengthens none: the image is in there."""
        change = points - self.center
        length = lengths(change)
        return (self.center + change * torch.where(length > self.epsilon, self.epsilon / length, 1)).clamp_(0, 1)

    def step(self, points: Tensor, gradient: Tensor, size: float) -> Tensor:
        """Go a way of length ``size`` along the gradient; nowhere where that is zero."""
        return self.project(points + size * _unit(gradient))


def ball(center: Tensor, epsilon: float, norm: Norm) -> Ball:
    """Return what is within ``epsilon`` of the images ``center`` [B, ...] in [0, 1], and in [0, 1].

    Raises:
        WrongInput: there is no such norm.
    """
    if norm == "Linf":
        # Rounded at most half a unit in the last place off the ball, and never out of [0, 1].
        return Linf((center - epsilon).clamp_(0, 1), (center + epsilon).clamp_(0, 1))
    if norm == "L2":
        return L2(center, epsilon)
    raise WrongInput(f"norm: {norm!r} is none of {', '.join(NORMS)}.")


def lengths(change: Tensor) -> Tensor:
    """Return the Euclidean length of each image's change [B, ...] as [B, 1, ...], in the type of the change."""
    flat = torch.linalg.vector_norm(change.flatten(1), dim=1)
    return flat.view(-1, *[1] * (change.ndim - 1))


def distances(images: Tensor, clean: Tensor, norm: Norm) -> Tensor:
    """Return how far images [B, ...] are from clean ones in a norm, float64 [B]."""
    change = (images.double() - clean.double()).flatten(1)
    return change.abs().amax(dim=1) if norm == "Linf" else torch.linalg.vector_norm(change, dim=1)


def uniform_start(normal: Tensor, uniform: Tensor, epsilon: float) -> Tensor:
    """Return changes that are uniform in the Euclidean ball of radius ``epsilon``, like ``normal``.

    Args:
        normal: draws [B, ...] of the standard normal distribution.
        uniform: draws [B] that are uniform in [0, 1).
        epsilon: the radius.
    """
    share = uniform ** (1 / max(1, normal[0].numel() if len(normal) else 1))
    return epsilon * share.view(-1, *[1] * (normal.ndim - 1)) * _unit(normal)


def _unit(change: Tensor) -> Tensor:
    """Return directions of length 1, zero where a change is; by its largest entry first, whose square may be zero."""
    largest = change.abs().flatten(1).amax(dim=1).view(-1, *[1] * (change.ndim - 1))
    scaled = change / torch.where(largest > 0, largest, 1)
    length = lengths(scaled)
    return scaled / torch.where(length > 0, length, 1)
