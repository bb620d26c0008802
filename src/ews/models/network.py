"""A residual network: stem, blocks, head, and the normalisation of its input; whole, or as one of its subnets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ews.core.errors import EwsError
from ews.models.activation import Activation
from ews.models.architecture_specs import ArchitectureParameters, InitialWeights
from ews.models.block import Block, BlockSpec, Effects
from ews.models.norm import BatchNorm2d
from ews.models.places import Place
from ews.models.space import SubnetSpace
from ews.models.subnet import Subnet


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a network is given beside its architecture.

    Attributes:
        classes: the number of logits.
        mean: per input channel, subtracted inside of the network; in the input's units ([0, 1]).
        std: per input channel, positive, divided by after that.
        generator: source of the weights; None is torch's global generator, which the caller has seeded.
    """

    classes: int
    mean: Sequence[float]
    std: Sequence[float]
    generator: torch.Generator | None = None


class Network(nn.Module):
    """Images in [0, 1] to logits.

    Post-activation: stem convolution, normalisation, activation; blocks; mean over space; linear. Pre-activation: stem
    convolution; blocks; normalisation, activation; mean over space; linear. A network has one kind of block, and one
    activation.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        stem: int,
        blocks: Sequence[BlockSpec],
        head: Head,
        parameters: ArchitectureParameters,
    ) -> None:
        """Declare the layers and draw their weights.

        Args:
            stem: channels of the 3x3 stem convolution.
            blocks: first to last; none: the stem alone.
            head: classes, normalisation of the input, and source of the weights.
            parameters: what all kinds of network have: initial weights, activation, whether inputs are normalised.
        """
        super().__init__()
        self.preactivation = bool(blocks) and blocks[0].preactivation
        if any(block.preactivation != self.preactivation for block in blocks):
            raise EwsError("network: pre-activation and post-activation blocks do not mix; declare one kind.")
        # Without normalisation the input passes as it is, to the bit.
        mean, std = (head.mean, head.std) if parameters.normalise else ([0.0] * len(head.mean), [1.0] * len(head.std))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.activation = Activation(parameters.activation, parameters.softplus_beta)
        self.stem = skip_init(nn.Conv2d, len(head.mean), stem, 3, padding=1, bias=False)
        channels = stem
        built = []
        for spec in blocks:
            built.append(Block(channels, spec, self.activation))
            channels = spec.units[-1].channels
        self.blocks = cast(Sequence[Block], nn.ModuleList(built))
        self.norm = BatchNorm2d(channels if self.preactivation else stem)
        self.head = skip_init(nn.Linear, channels, head.classes)
        self.classes = head.classes
        self.initialise(parameters.init, head.generator)

    @property
    def space(self) -> SubnetSpace:
        """The space of this network's subnets."""
        return SubnetSpace(tuple(block.space for block in self.blocks))

    def initialise(self, init: InitialWeights, generator: torch.Generator | None) -> None:
        """Draw all weights.

        Args:
            init: of the convolutions: ``he``, normal with variance 2 / fan-out (He et al. 2015); ``torch``, uniform
                within 1 / sqrt(fan-in), which torch gives a layer by itself. The head is uniform by fan-in in both.
            generator: source of the weights; None is torch's global generator.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and init == "he":
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
        bound = self.head.in_features**-0.5
        nn.init.uniform_(self.head.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.head.bias, -bound, bound, generator=generator)

    def forward(self, x: Tensor, subnet: Subnet | None = None) -> Tensor:
        """Return the logits [B, classes].

        Args:
            x: images [B, 3, H, W], floating, in [0, 1].
            subnet: None computes the whole network in its current mode. Else that subnet alone, by slices of the
                weights: batch statistics in every normalisation (running statistics untouched), no dropout, in
                training and in evaluation mode alike; inside of :func:`ews.models.norm.running_statistics` running
                statistics in every normalisation.
        """
        x = self.stem((x - self.mean) / self.std)
        if not self.preactivation:
            x = self.activation(self._normalise(x, subnet), inplace=True)
        if subnet is None:
            for block in self.blocks:
                x = block(x)
        else:
            for block, choice in zip(self.blocks, subnet.blocks, strict=True):
                x = block(x, choice)
        if self.preactivation:
            x = self.activation(self._normalise(x, subnet), inplace=True)
        return self.head(x.mean((2, 3)))

    def _normalise(self, x: Tensor, subnet: Subnet | None) -> Tensor:
        return self.norm(x) if subnet is None else self.norm.of_subnet(x)

    def set_dropout(self, rate: float, *, place: Place) -> None:
        """Drop activations in full passes in training mode; subnets' passes are without.

        Args:
            rate: probability of each element (``residual``), or of each channel and image, in [0, 1); the kept ones
                are scaled by 1 / (1 - rate). The draws come from torch's global generator.
            place: see :data:`ews.models.places.Place`.
        """
        if not 0 <= rate < 1:
            raise EwsError(f"dropout rate: {rate!r} is not in [0, 1).")
        for block in self.blocks:
            block.set_dropout(place, rate)

    def capture_effects(self, enabled: bool, *, paths: bool = False) -> None:
        """Switch the capture of sum(a * dL/da) on (from zero) or off.

        While on, the backward pass of every full pass in training mode adds the effects of each hidden channel, and
        with ``paths`` of each path; there is no extra pass.
        """
        for block in self.blocks:
            block.capture_effects(enabled, paths=paths)

    @contextmanager
    def capture_suspended(self) -> Iterator[None]:
        """Leave passes inside the block out of the capture: those of attacks are no part of the loss."""
        effects = [block.effects for block in self.blocks]
        for block in self.blocks:
            block.effects = None
        try:
            yield
        finally:
            for block, before in zip(self.blocks, effects, strict=True):
                block.effects = before

    def take_effects(self) -> list[Effects] | None:
        """Return what was captured since the last call, one entry a block, and begin anew; None if nothing was."""
        taken = []
        for block in self.blocks:
            effects = block.effects
            if effects is None or any(value is None for value in effects.channels):
                return None
            taken.append(effects)
        for block in self.blocks:
            block.capture_effects(True, paths=block._capture_paths)
        return taken
