"""A network's layers at weights of each part of the batch, in one pass that normalises by the whole batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from ews.core.errors import EwsError
from ews.methods.parts import asks_or_writes, divide, in_turn, scaling, sizes


class PartWeights(TorchFunctionMode):
    """While entered, each part of the batch is computed with weights of its own.

    A convolution, linear layer or batch normalisation treats each part of its input by that part's weight, and bias or
    shift; statistics are of the whole batch. Any other function of weights alone, such as the slicing of a subnet, is
    computed for each part, and what comes out of it has parts like a weight. A loss that has parts, a penalty on the
    weights, counts by its mean. What asks about a weight (gradient, shape) or writes into it finds the weight itself.

    That is M devices, each with a copy of the network and a part of the batch, which synchronise their statistics: in
    the loss of the whole batch, differentiated by w_i, the weights of part i act on other parts too, through the mean
    and the variance that all share. Which images a part has: :func:`ews.methods.parts.divide`.
    """

    def __init__(
        self, weights: Sequence[Tensor], by_part: Sequence[Sequence[Tensor]], *, views: int, images: int
    ) -> None:
        """Take the weights.

        Args:
            weights: of the network, which are left alone.
            by_part: [M][weights], what to compute with in their place.
            views: V of the batch.
            images: B of the batch; a pass may have fewer.
        """
        super().__init__()
        self.parts = len(by_part)
        self.views = views
        self.images = images
        self.weights = {id(weight): own for weight, own in zip(weights, zip(*by_part, strict=True), strict=True)}
        # What functions made of weights: the first part's result, which stands for all, and the other parts'.
        self.made: Any = WeakTensorKeyDictionary()
        self.layers: dict[Any, Callable[..., Tensor]] = {
            F.conv2d: self._conv2d,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute ``func``, part by part where it takes weights; functions that it calls in turn are left alone."""
        kwargs = kwargs or {}
        given = [*args, *kwargs.values()]
        if not self._has_parts(given) or asks_or_writes(func):
            return func(*args, **kwargs)
        if func in self.layers:
            return self.layers[func](*args, **kwargs)
        if func is Tensor.backward:
            return func(self._mean(args[0]), *args[1:], **kwargs)
        self._check_alone(func, given)
        return self._keep(
            [
                func(*self._of(part, args), **{name: self._of(part, value) for name, value in kwargs.items()})
                for part in range(self.parts)
            ]
        )

    def _has_parts(self, value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(map(self._has_parts, value))
        return isinstance(value, Tensor) and (id(value) in self.weights or value in self.made)

    def _of(self, part: int, value: Any) -> Any:
        """Return an argument with a part's weights in the place of what has parts."""
        if isinstance(value, list | tuple):
            return type(value)(self._of(part, one) for one in value)
        if not self._has_parts(value):
            return value
        if id(value) in self.weights:
            return self.weights[id(value)][part]
        return value if part == 0 else self.made[value][part - 1]

    def _keep(self, found: Sequence[Any]) -> Any:
        """Note a function's results, one of each part, and return the first one, which stands for them."""
        first, *others = found
        if isinstance(first, Tensor):
            self.made[first] = others
        elif isinstance(first, list | tuple):
            for results in zip(*found, strict=True):
                self._keep(results)
        return first

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over the parts, weighted by their images."""
        counts = sizes(self.images, self.parts)
        terms = [count / self.images * self._of(part, value) for part, count in enumerate(counts)]
        return sum(terms[1:], terms[0])

    def _check_alone(self, func: Any, given: Iterable[Any]) -> None:
        """Refuse a function of weights and activations that is no known layer: it cannot say which image has which."""
        for value in given:
            if isinstance(value, list | tuple):
                self._check_alone(func, value)
            elif isinstance(value, Tensor) and value.is_floating_point() and value.ndim and not self._has_parts(value):
                raise _unknown(func)

    def _conv2d(
        self, input: Tensor, weight: Tensor, bias: Tensor | None = None, *settings: Any, **named: Any
    ) -> Tensor:
        def layer(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return F.conv2d(x, weight, bias, *settings, **named)

        return self._apply(layer, input, weight, bias)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self._apply(F.linear, input, weight, bias)

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        *settings: Any,
        **named: Any,
    ) -> Tensor:
        # Statistics of the whole batch first; then scale and shift, part by part.
        normal = F.batch_norm(input, running_mean, running_var, None, None, *settings, **named)
        like = bias if weight is None else weight
        assert like is not None
        return self._apply(scaling(like), normal, weight, bias)

    def _apply(self, layer: Callable[..., Tensor], x: Tensor, *values: Tensor | None) -> Tensor:
        """Compute a layer on x [V * B, ...], each part with its own values."""
        if self._has_parts(x):
            raise _unknown(layer)
        views, counts = divide(len(x), views=self.views, images=self.images, sub_batches=self.parts)

        def of(part: int) -> Callable[[Tensor], Tensor]:
            own = self._of(part, values)
            return lambda x: layer(x, *own)

        return in_turn([of(part) for part in range(len(counts))], x, views, counts)


def _unknown(func: Any) -> EwsError:
    return EwsError(
        f"statistics: batch cannot give each sub-batch weights of its own in {getattr(func, '__name__', func)}; "
        "valid: convolutions, linear layers and batch normalisations of activations. Set statistics: part."
    )
