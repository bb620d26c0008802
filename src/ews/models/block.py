"""The one residual block of all networks: declared by its units, computed whole or as a subnet's slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ews.core.errors import EwsError
from ews.models.activation import Activation
from ews.models.norm import BatchNorm2d
from ews.models.places import Place
from ews.models.slicing import slice_weight
from ews.models.space import BlockSpace
from ews.models.subnet import BlockChoice

Shortcut = Literal["identity", "projection", "padding"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One convolution of a residual branch with its normalisation: output channels, square kernel, stride."""

    channels: int
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A residual block as an architecture declares it.

    Attributes:
        units: the convolutions of the residual branch, first to last.
        shortcut: ``identity``; ``projection``: a strided 1x1 convolution (and normalisation after it in
            post-activation blocks); ``padding``: strided subsampling and zero channels, without weights.
        preactivation: normalisation and activation before each convolution (He et al. 2016b) in place of after it.
        zero_scale: the scale of the branch's last normalisation starts at zero, so that the block is its shortcut at
            first. In post-activation blocks alone: in the others a convolution comes last.
    """

    units: tuple[Unit, ...]
    shortcut: Shortcut
    preactivation: bool
    zero_scale: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.zero_scale and self.preactivation:
            raise EwsError("network: no normalisation ends a pre-activation block's branch; leave zero_scale out.")


@dataclass(slots=True)
class Effects:
    """First-order effects sum(a * dL/da) of one full pass, summed over its backward passes.

    Attributes:
        channels: per hidden layer [c], of the activations, after the ReLU or what stands for it.
        paths: [2] for (residual branch, shortcut), of the two summands; None unless asked for.
    """

    channels: list[Tensor | None]
    paths: list[Tensor | None]


class Block(nn.Module):
    """A residual block: sum of a residual branch and a shortcut.

    A subnet may drop one of the two paths, and *hidden* channels of the branch: the outputs of every unit but the
    last. Dropping them takes rows of one convolution's weight, columns of the next one's, and the entries of the
    normalisation between the two: the sliced pass computes nothing that the subnet lacks.
    """

    def __init__(self, inputs: int, spec: BlockSpec, activation: Activation) -> None:
        """Declare the layers; the weights are left uninitialised (see :class:`ews.models.network.Network`)."""
        super().__init__()
        units = spec.units
        sources = [inputs, *(unit.channels for unit in units[:-1])]
        self.activation = activation
        self.preactivation = spec.preactivation
        self.shortcut = spec.shortcut
        self.inputs = inputs
        self.outputs = units[-1].channels
        self.stride = 1
        for unit in units:
            self.stride *= unit.stride
        self.hidden = tuple(unit.channels for unit in units[:-1])
        convs = nn.ModuleList(
            skip_init(nn.Conv2d, source, unit.channels, unit.kernel, unit.stride, padding=unit.kernel // 2, bias=False)
            for source, unit in zip(sources, units, strict=True)
        )
        normed = sources if spec.preactivation else [unit.channels for unit in units]
        self.convs = cast(Sequence[nn.Conv2d], convs)
        self.norms = cast(Sequence[BatchNorm2d], nn.ModuleList(BatchNorm2d(channels) for channels in normed))
        self.projection: nn.Conv2d | None = None
        self.projection_norm: BatchNorm2d | None = None
        if spec.shortcut == "projection":
            self.projection = cast(nn.Conv2d, skip_init(nn.Conv2d, inputs, self.outputs, 1, self.stride, bias=False))
            if not spec.preactivation:
                self.projection_norm = BatchNorm2d(self.outputs)
        if spec.zero_scale:
            nn.init.zeros_(self.norms[-1].weight)
        self._dropout: tuple[Place, float] | None = None
        self.effects: Effects | None = None
        self._capture_paths = False

    @property
    def space(self) -> BlockSpace:
        """What a subnet chooses from in this block."""
        return BlockSpace(self.hidden)

    def path_weights(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the convolution weights of the residual branch and of the shortcut (none for most shortcuts)."""
        shortcut: list[Tensor] = [] if self.projection is None else [self.projection.weight]
        return [conv.weight for conv in self.convs], shortcut

    def set_dropout(self, place: Place, rate: float) -> None:
        """Drop at a place (:meth:`ews.models.network.Network.set_dropout`); at rate 0 nowhere."""
        self._dropout = (place, rate) if rate > 0 else None

    def capture_effects(self, enabled: bool, *, paths: bool) -> None:
        """Begin (anew) or end the capture of :class:`Effects` in full passes in training mode."""
        self.effects = Effects([None] * len(self.hidden), [None] * 2) if enabled else None
        self._capture_paths = enabled and paths

    def forward(self, x: Tensor, choice: BlockChoice | None = None) -> Tensor:
        """Compute the block on x [B, inputs, H, W].

        Args:
            choice: None for the whole block with its ordinary normalisation; else the subnet's slice of it,
                normalised as :meth:`ews.models.norm.BatchNorm2d.of_subnet` says, without dropout.
        """
        source = x
        if self.preactivation and (choice is None or choice.residual or self.projection is not None):
            source = self.activation(self._norm(0, x, choice), inplace=True)
        if choice is not None and not choice.residual:
            out = self._shortcut(x, source, choice)
            # Not in place: what comes out may be x itself.
            return out if self.preactivation else self.activation(out)
        out = self._residual(source, choice)
        if choice is None:
            out = self._dropped("residual", out)
        if choice is None or choice.shortcut:
            other = self._shortcut(x, source, choice)
            if choice is None and self._captures() and self._capture_paths:
                # An identity shortcut is the block's input itself, to whose gradient the residual branch adds its part.
                other = other.view_as(other)
                self._watch_paths(out, other)
                out = out + other
            else:
                out = out.add_(other)
        if not self.preactivation:
            out = self.activation(out, inplace=True)
        return out if choice is not None else self._dropped("block", out)

    def _residual(self, x: Tensor, choice: BlockChoice | None) -> Tensor:
        last = len(self.convs) - 1
        for i in range(last + 1):
            if self.preactivation and i > 0:
                x = self._hidden(i - 1, self.activation(self._norm(i, x, choice), inplace=True), choice)
            x = self._conv(i, x, choice)
            if not self.preactivation:
                x = self._norm(i, x, choice)
                if i < last:
                    x = self._hidden(i, self.activation(x, inplace=True), choice)
        return x

    def _conv(self, i: int, x: Tensor, choice: BlockChoice | None) -> Tensor:
        conv = self.convs[i]
        if choice is None:
            return conv(x)
        rows = choice.channels[i] if i < len(self.hidden) else None
        columns = choice.channels[i - 1] if i > 0 else None
        weight = slice_weight(conv.weight, rows, columns)
        return F.conv2d(x, weight, None, conv.stride, conv.padding)

    def _norm(self, i: int, x: Tensor, choice: BlockChoice | None) -> Tensor:
        norm = self.norms[i]
        if choice is None:
            return norm(x)
        layer = i - 1 if self.preactivation else i
        return norm.of_subnet(x, choice.channels[layer] if 0 <= layer < len(choice.channels) else None)

    def _shortcut(self, x: Tensor, activated: Tensor, choice: BlockChoice | None) -> Tensor:
        """Compute the shortcut; a pre-activation block projects its activated input."""
        if self.projection is not None:
            out: Tensor = self.projection(activated)
            norm = self.projection_norm
            if norm is None:
                return out
            return norm(out) if choice is None else norm.of_subnet(out)
        if self.shortcut == "padding":
            extra = self.outputs - self.inputs
            x = x[:, :, :: self.stride, :: self.stride]
            return F.pad(x, (0, 0, 0, 0, extra // 2, extra - extra // 2))
        return x

    def _captures(self) -> bool:
        return self.training and self.effects is not None and torch.is_grad_enabled()

    def _hidden(self, layer: int, x: Tensor, choice: BlockChoice | None) -> Tensor:
        """Treat hidden activations of a full pass: dropout, capture of effects."""
        if choice is not None or not self.training:
            return x
        x = self._dropped("hidden", x)
        if self._captures():
            assert self.effects is not None
            _watch(x, self.effects.channels, layer, (0, 2, 3))
        return x

    def _dropped(self, place: Place, x: Tensor) -> Tensor:
        """Drop from what a full pass computes at a place, if that is where and it trains."""
        if self._dropout is None or self._dropout[0] != place or not self.training:
            return x
        drop = F.dropout if place == "residual" else F.dropout2d
        return drop(x, self._dropout[1], training=True)

    def _watch_paths(self, residual: Tensor, shortcut: Tensor) -> None:
        assert self.effects is not None
        for i, path in enumerate((residual, shortcut)):
            _watch(path, self.effects.paths, i, (0, 1, 2, 3))


def _watch(x: Tensor, into: list[Tensor | None], slot: int, dims: Sequence[int]) -> None:
    """Add sum(x * dL/dx) over ``dims`` to ``into[slot]`` whenever the gradient of x is computed."""
    if not x.requires_grad:
        return
    value = x.detach()

    def hook(gradient: Tensor) -> None:
        effect = (value * gradient).sum(dim=tuple(dims), dtype=torch.float32)
        before = into[slot]
        into[slot] = effect if before is None else before + effect

    x.register_hook(hook)
