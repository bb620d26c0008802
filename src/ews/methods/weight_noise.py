"""A network's layers at weights with multiplicative noise, a draw for each part of the batch, in one pass."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ews.methods.parts import asks_or_writes, divide, in_turn, scaling

FORMS = ("sequential", "vmapped", "grouped")
# A layer on parts: inputs [P, n, ...] and weights [P, *shape] to outputs [P, n, ...].
Layer = Callable[[Tensor, Tensor], Tensor]


class Noise(TorchFunctionMode):
    """While entered, layers compute with noisy weights, each part of the batch with its own.

    A convolution, linear layer or batch normalisation whose weight is one of ``weights`` treats each part of its input
    by that part's draw. Any other function that takes one of them, such as the slicing of a subnet, is given one
    further draw in its place. What writes into a weight, or asks about it (gradient, shape), finds the weight itself.
    A weight is drawn at its first use and keeps its draws until the end.

    Images lie along the first dimension, as [V * B] of V views of B images, or several such passes joined, as AW-Net's
    of clean and attacked ones. They are divided as :func:`ews.methods.parts.divide` says; all views of an image, in all
    passes that are joined, are in the same part.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        *,
        sigma: float,
        sub_batches: int,
        objective: bool,
        form: str,
        views: int,
        images: int,
        generator: torch.Generator,
    ) -> None:
        """Keep the parameters.

        Args:
            weights: what to perturb.
            sigma: standard deviation of the factors, whose mean is 1.
            sub_batches: M.
            objective: whether a perturbed weight's gradient is multiplied by the factors on its way to the weight.
            form: one of :data:`FORMS`.
            views: V; where it does not divide a pass's images, they are taken for single views.
            images: B of a whole batch; a pass may have fewer.
            generator: of the noise, on the weights' device.
        """
        super().__init__()
        self.weights = {id(weight) for weight in weights}
        self.sigma = sigma
        self.sub_batches = sub_batches
        self.objective = objective
        self.form = form
        self.views = views
        self.images = images
        self.generator = generator
        # With the place of the weight among the arguments.
        self.layers: dict[Any, tuple[int, Callable[..., Tensor]]] = {
            F.conv2d: (1, self._conv2d),
            F.linear: (1, self._linear),
            F.batch_norm: (3, self._batch_norm),
        }
        self._drawn: dict[tuple[int, bool], tuple[Tensor, Tensor | None]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute ``func``, with noisy weights where it takes some; functions that it calls in turn are left alone."""
        kwargs = kwargs or {}
        if not self._takes([*args, *kwargs.values()]) or asks_or_writes(func):
            return func(*args, **kwargs)
        if func in self.layers:
            place, layer = self.layers[func]
            weight = args[place] if place < len(args) else kwargs.get("weight")
            if id(weight) in self.weights:
                return layer(*args, **kwargs)
        return func(*map(self._whole, args), **{name: self._whole(value) for name, value in kwargs.items()})

    def _takes(self, value: Any) -> bool:
        """Tell whether an argument is a perturbed weight, or a list with one in it."""
        return any(map(self._takes, value)) if isinstance(value, list | tuple) else id(value) in self.weights

    def _whole(self, value: Any) -> Any:
        """Return an argument with the draws for the whole batch in the place of weights."""
        if isinstance(value, list | tuple):
            return type(value)(map(self._whole, value))
        return self._noisy(value, whole=True)[0] if id(value) in self.weights else value

    def _draw(self, weight: Tensor, draws: int, whole: bool) -> tuple[Tensor, Tensor | None]:
        """Return noisy values [draws, *shape] of a weight, without a graph, and factors for its gradients."""
        key = (id(weight), whole)
        if key not in self._drawn:
            values = weight.detach()
            factors = normal_like(values, draws, self.generator).mul_(self.sigma).add_(1)
            self._drawn[key] = (values * factors, factors) if self.objective else (factors.mul_(values), None)
        return self._drawn[key]

    def _noisy(self, weight: Tensor, parts: int | None = None, *, whole: bool = False) -> list[Tensor]:
        """Return a weight's draws for each part, or the one for the whole batch, attached to its gradient."""
        values, factors = self._draw(weight, 1 if whole else self.sub_batches, whole)
        chosen = range(len(values) if parts is None else parts)
        return [_attach(weight, values[part], None if factors is None else factors[part]) for part in chosen]

    def _stacked(self, weight: Tensor) -> Tensor:
        """Return :meth:`_noisy` of all parts as one tensor [M, *shape]."""
        return _attach(weight, *self._draw(weight, self.sub_batches, whole=False))

    def _divided(self, images: int) -> tuple[int, list[int]]:
        """Return the views, and the parts' numbers of images, of a pass over so many (views times images)."""
        return divide(images, views=self.views, images=self.images, sub_batches=self.sub_batches)

    def _conv2d(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        def layer(x: Tensor, weight: Tensor) -> Tensor:
            return F.conv2d(x, weight, _like(bias, weight), stride, padding, dilation, groups)

        def grouped(x: Tensor, weights: Tensor) -> Tensor:
            return _grouped_convolution(
                x, weights, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
            )

        return self._apply(layer, grouped if self.form == "grouped" else _vmapped(layer), input, weight)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        def layer(x: Tensor, weight: Tensor) -> Tensor:
            return F.linear(x, weight, _like(bias, weight))

        def grouped(x: Tensor, weights: Tensor) -> Tensor:
            product = x.flatten(1, -2) @ weights.transpose(1, 2)
            return (product if bias is None else product + bias.to(product.dtype)).view(*x.shape[:-1], -1)

        return self._apply(layer, grouped if self.form == "grouped" else _vmapped(layer), input, weight)

    def _apply(self, layer: Layer, together: Layer, x: Tensor, weight: Tensor) -> Tensor:
        """Compute a layer on x [V * B, ...], each part with its draw, in the form chosen."""
        views, counts = self._divided(len(x))
        if len(counts) == 1:
            return layer(x, self._noisy(weight, 1)[0])
        if self.form == "sequential" or len(counts) < self.sub_batches or len(set(counts)) > 1:

            def by(noisy: Tensor) -> Callable[[Tensor], Tensor]:
                return lambda part: layer(part, noisy)

            return in_turn([by(noisy) for noisy in self._noisy(weight, len(counts))], x, views, counts)
        # [V, P, n, ...] to [P, V * n, ...] and back.
        apart = x.unflatten(0, (views, len(counts), -1)).transpose(0, 1)
        out = together(apart.flatten(1, 2), self._stacked(weight))
        return out.unflatten(1, (views, -1)).transpose(0, 1).flatten(0, 2)

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        settings: dict[str, Any] = {"training": training, "momentum": momentum, "eps": eps}
        normalise = partial(F.batch_norm, input, running_mean, running_var, **settings)
        if len(self._divided(len(input))[1]) == 1:
            return normalise(weight=self._noisy(weight, 1)[0], bias=bias)
        # Statistics of the whole batch first; then scale and shift, part by part.
        scale = scaling(weight)

        def layer(x: Tensor, weight: Tensor) -> Tensor:
            return scale(x, weight, bias)

        def together(x: Tensor, weights: Tensor) -> Tensor:
            places = (1,) * (x.ndim - 3)
            scaled = x * weights.to(x.dtype).view(len(weights), 1, -1, *places)
            return scaled if bias is None else scaled + bias.to(x.dtype).view(-1, *places)

        return self._apply(layer, together, normalise(), weight)


class _Perturbed(torch.autograd.Function):
    """Noisy values of a weight, [*shape] or [M, *shape]; gradients go to the weight, times the factors if any.

    Keeps what it needs outside of autograd's saved tensors, which the first of several backward passes would free.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, factors: Tensor | None) -> Tensor:
        ctx.factors = factors
        ctx.stacked = values.ndim > weight.ndim
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        if ctx.factors is not None:
            gradient = gradient * ctx.factors
        return gradient.sum(0) if ctx.stacked else gradient, None, None


def _attach(weight: Tensor, values: Tensor, factors: Tensor | None) -> Tensor:
    noisy: Tensor = _Perturbed.apply(weight, values, factors)
    return noisy


def normal_like(weight: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers [draws, *shape], in memory in a weight's own order of dimensions.

    Noise in another order than the weight's would make every operation on both walk element by element; and torch
    fills memory that is in order several times as fast.

    Args:
        weight: dense.
        draws: how many.
        generator: on the weight's device.
    """
    strides = weight.stride()
    order = sorted(range(weight.ndim), key=lambda dim: -strides[dim])
    shape = (draws, *(weight.shape[dim] for dim in order))
    noise = torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)
    return noise.permute(0, *(1 + order.index(dim) for dim in range(weight.ndim)))


def _like(value: Tensor | None, other: Tensor) -> Tensor | None:
    """Return a tensor in another one's precision; None remains None."""
    return None if value is None else value.to(other.dtype)


def _vmapped(layer: Layer) -> Layer:
    """Return a layer over parts; inside of ``torch.vmap`` autocast does nothing, so it is done before."""

    def together(x: Tensor, weights: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weights = x.to(dtype), weights.to(dtype)
        return torch.vmap(layer)(x, weights)

    return together


def _grouped_convolution(x: Tensor, weights: Tensor, bias: Tensor | None, *, groups: int, **settings: Any) -> Tensor:
    """Compute [P, n, C, H, W] with weights [P, O, I, h, w] as one convolution of n images with P * C channels.

    Both sides are NHWC in memory: the parts' channels stand beside each other at every place.
    """
    parts = len(x)
    together = x.permute(1, 3, 4, 0, 2).flatten(3).permute(0, 3, 1, 2)
    repeated = None if bias is None else bias.repeat(parts)
    out = F.conv2d(together, weights.flatten(0, 1), repeated, groups=parts * groups, **settings)
    return out.unflatten(1, (parts, -1)).permute(1, 0, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
