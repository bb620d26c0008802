"""What SAM and ASAM share: the gradient at the worst weights nearby, found by one step along the gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ews.attacks.mode import frozen_statistics
from ews.methods import parts
from ews.methods.component import Batch, Context, Gradients, Metrics, Objective, Wrapper
from ews.methods.part_weights import PartWeights
from ews.methods.sharpness_spec import SharpnessParameters, least_part


class SharpnessAware(Wrapper):
    """The gradient at w + e, e = rho T^2 g / ||T g||_2, where g is the gradient at w; subclasses say what T is.

    g is the whole gradient of the method's parts that stand further left and of the extras: with EWS it includes the
    subnet's term, and the same term of the same subnet is differentiated again at w + e. The norm is over all trainable
    parameters of the network together; parameters that components train beside it (``Component.parameters``) are not
    moved and have the second pass's gradient. Where g is zero, e is zero.

    With M = ``sub_batches`` above 1 (m-sharpness) each sub-batch of consecutive images has an e_i of its own, from its
    own g_i. ``statistics`` says what sub-batches are normalised by, both as DAMP's authors have it, in whose code M
    lanes, each with a copy w_i of the weights and the loss L_i of its images, are mapped in parallel:

    - ``batch``, on CIFAR: statistics are means over all lanes. Each lane differentiates its own L_i, but the derivative
      of a mean over lanes hands every lane the mean of what all lanes' losses ask of it: a lane gets
      g_i = d(sum_j L_j) / d w_i at w_i = w, the other losses by way of the shared statistics. All lanes go to w + e_i,
      and the gradient is the mean over lanes of the same derivative there. Here one pass computes all sub-batches, each
      layer by copies of its weights (:class:`ews.methods.part_weights.PartWeights`). With L the mean loss over the
      batch, the derivative of L is g_i / M for equal sizes, which leaves e_i as it is, and the sum of the second
      derivatives of L is the mean of the lanes'. Sizes may differ: images, not lanes, weigh alike [choice]. A
      subnet of EWS is sliced from each copy, and its images are divided like the batch's; so are those that its
      ``batch_fraction`` leaves, anew [choice]. The weights themselves do not move.
    - ``part``, on TinyImageNet and ImageNet: each sub-batch is treated as a batch of its own, and the gradients at the
      M points w + e_i are averaged by size. A batch too small for M sub-batches of two images has fewer. Weights are
      back bit for bit afterwards, also after an error. The search ``gradient`` sees the last sub-batch, and the
      full network's accuracy in ``controller.csv`` is that on the first.

    Both passes normalise by the batch. Running statistics are those of the pass at w, as theirs: with ``part`` they
    move once, to the mean, weighted by size, of where each sub-batch alone would have moved them [choice; theirs are
    the first one's]. Both passes draw the same dropout masks [choice]. Metrics are those of the pass at w. EWS's search
    and logs see the pass at w alone.

    Cost: two forward and backward passes. ``part`` and M = 1: a copy of the weights and of their gradients; ``batch``:
    M of these, and the activations of each normalisation twice.
    """

    def __init__(self, context: Context, parameters: SharpnessParameters) -> None:
        """Find the weights to move in the network of the context."""
        self.context = context
        self.rho = parameters.rho
        self.sub_batches = parameters.sub_batches
        self.synchronised = parameters.statistics == "batch" and parameters.sub_batches > 1
        self.least_part = least_part(parameters)
        self.weights: list[nn.Parameter] = [
            parameter for parameter in context.network.parameters() if parameter.requires_grad
        ]
        self._own: list[nn.Parameter] = []

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Note which parameters the objective trains beside the network's."""
        self._own = list(objective.parameters())

    def scales(self) -> list[Tensor | None]:
        """Return the diagonal of T for each of ``weights``, at their present values; None: ones."""
        raise NotImplementedError

    def __call__(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Compute the gradients at w, step, and compute them at w + e; w is what it was afterwards."""
        parts.check_first(self.sub_batches, batch, where=f"method {self.name}", least=self.least_part)
        return self._together(gradients, batch) if self.synchronised else self._apart(gradients, batch)

    def _together(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Treat all sub-batches in one pass, with statistics of the whole batch and weights of each part."""
        network, trained = self.context.network, [*self.weights, *self._own]
        before = _take(trained)
        draws = _Draws(self.context.device)
        # The same values in the same memory, with gradients of their own.
        copies = [[weight.detach().requires_grad_() for weight in self.weights] for _ in range(self.sub_batches)]
        with self._weights(copies, batch):
            metrics = gradients(batch)
        _take(trained)
        moved = [self._moved(_take(part)) for part in copies]
        for parameter, gradient in zip(trained, before, strict=True):
            parameter.grad = gradient
        draws.again()
        with self._weights(moved, batch), frozen_statistics(network), network.capture_suspended():
            gradients(batch)
        return metrics

    def _weights(self, by_part: list[list[Tensor]], batch: Batch) -> PartWeights:
        return PartWeights(self.weights, by_part, views=len(batch.images), images=len(batch.labels))

    def _moved(self, gradients: list[Tensor | None]) -> list[Tensor]:
        """Return w + e, whose gradients are added to those of w."""
        steps = self._steps(gradients)
        return [weight if step is None else weight + step for weight, step in zip(self.weights, steps, strict=True)]

    def _apart(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Treat each sub-batch as a batch of its own, one after the other."""
        batches = parts.split(batch, self.sub_batches, least=self.least_part)
        trained = [*self.weights, *self._own]
        total = _take(trained)
        metrics: Metrics = {}
        statistics = Statistics(self.context.network)
        for part in batches:
            share = len(part.labels) / len(batch.labels)
            statistics.restore()
            found = self._both_passes(gradients, part, trained)
            statistics.add(share)
            for name, value in found.items():
                metrics[name] = metrics[name] + share * value if name in metrics else share * value
            for place, gradient in enumerate(_take(trained)):
                if gradient is not None:
                    weighted, before = share * gradient, total[place]
                    total[place] = weighted if before is None else before + weighted
        statistics.settle()
        for parameter, gradient in zip(trained, total, strict=True):
            parameter.grad = gradient
        return metrics

    def _both_passes(self, gradients: Gradients, batch: Batch, trained: list[nn.Parameter]) -> Metrics:
        """Leave in ``.grad`` the gradient at w + e alone, and the weights where they were."""
        draws = _Draws(self.context.device)
        metrics = gradients(batch)
        steps = self._steps(_take(trained)[: len(self.weights)])
        draws.again()
        network = self.context.network
        with moved(self.weights, steps), frozen_statistics(network), network.capture_suspended():
            gradients(batch)
        return metrics

    @torch.no_grad()
    def _steps(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        """Return e for each weight; None where there is no gradient."""
        scaled: list[Tensor | None] = []
        for gradient, scale in zip(gradients, self.scales(), strict=True):
            scaled.append(gradient if gradient is None or scale is None else scale * gradient)
        norms = [torch.linalg.vector_norm(value) for value in scaled if value is not None]
        if not norms:
            return scaled
        norm = torch.linalg.vector_norm(torch.stack(norms))
        length = torch.where(norm > 0, self.rho / norm, torch.zeros_like(norm))
        steps: list[Tensor | None] = []
        for value, scale in zip(scaled, self.scales(), strict=True):
            step = value if value is None or scale is None else scale * value
            steps.append(None if step is None else length * step)
        return steps


class Statistics:
    """Buffers of a network's normalisations over several passes, each of which begins where the first one did."""

    def __init__(self, network: nn.Module) -> None:
        layers = (layer for layer in network.modules() if isinstance(layer, _NormBase))
        self._buffers = [buffer for layer in layers for buffer in layer.buffers(recurse=False)]
        self._first = [buffer.clone() for buffer in self._buffers]
        self._sums = [torch.zeros_like(buffer) for buffer in self._buffers]

    def restore(self) -> None:
        """Put the buffers back to what they were at first."""
        for buffer, value in zip(self._buffers, self._first, strict=True):
            buffer.copy_(value)

    def add(self, share: float) -> None:
        """Count the buffers as they are now with a weight; of counters the last value is kept."""
        for buffer, total in zip(self._buffers, self._sums, strict=True):
            if buffer.is_floating_point():
                total.add_(buffer, alpha=share)
            else:
                total.copy_(buffer)

    def settle(self) -> None:
        """Set the buffers to the weighted sum of what they were."""
        for buffer, total in zip(self._buffers, self._sums, strict=True):
            buffer.copy_(total)


@contextmanager
def moved(weights: list[nn.Parameter], steps: list[Tensor | None]) -> Iterator[None]:
    """Add steps to weights, and put the weights back bit for bit."""
    before = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight, step in zip(weights, steps, strict=True):
                if step is not None:
                    weight.add_(step)
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)


class _Draws:
    """The state of torch's global generators when this was made, to draw the same numbers again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._state = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def again(self) -> None:
        torch.set_rng_state(self._state)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda, self._device)


def _take(parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients and leave none."""
    gradients = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    return gradients
