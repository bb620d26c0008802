"""AW-Net (Wei and Zhao, arXiv 2306.03430): a network whose filters are scaled, and normalised, by what the image is.

Source: the paper's abstract; its figures as the project's notes describe them, marked [fig]; what they leave open is
chosen here, marked [choice]. No released code was used.

- A router, a small network on the same normalised image as the stem, feeds one signal head per residual block and one
  type head [fig]. Extractor: convolutions 3 x 3 of stride 2, each with batch normalisation and ReLU, then the mean
  over space; signal head: linear -> 2 sigmoid, its weights zero at first, so that omega = 1; type head: linear, ReLU,
  linear to (clean, adversarial) [choice].
- Filter k of a block's convolution j is multiplied per image: W'_{j,k}(x) = omega_{j,k}(x) W_{j,k} [fig]. There are no
  biases, so that scaling output channel k, before the normalisation, is the same. Scaled are the convolutions of the
  residual branch; a projection is not, as no other shortcut has filters [choice].
- MixBN: each normalisation has a branch for clean and one for adversarial images. In training an image's true type
  selects; in evaluation out = P_clean BN_clean(x) + P_adv BN_adv(x), with the type head's softmax [fig]. The network's
  normalisation outside of its blocks is mixed too [choice]: before the blocks it is the stem's, after them it is the
  last block's. The router's own normalisations are not: what tells the types apart must not depend on the type.

A training pass therefore says which of its images are clean (:func:`routing`). Pass both types in one batch: branches
then see one type each, while the router normalises by both, as it will when it does not know the type.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ews.core.errors import EwsError
from ews.models.awnet.awnet_spec import AwnetNetwork
from ews.models.network import Network
from ews.models.norm import BatchNorm2d

CLEAN, ADVERSARIAL = 0, 1
"""Classes of the type head, and columns of its probabilities."""


@dataclass(eq=False)
class Signals:
    """What the router says of the images of the pass under way; empty between passes.

    Attributes:
        scales: by block omega [B, filters of the block].
        shares: [B, 2], probabilities of the two types.
        clean: in training, how many of the images, the first ones, are clean.
    """

    scales: Sequence[Tensor] = ()
    shares: Tensor | None = None
    clean: int | None = None


@dataclass(eq=False)
class Call:
    """What :func:`routing` tells the passes inside of it, and is told by them.

    Attributes:
        clean: how many images of a training pass, the first ones, are clean.
        types: logits of the type head [B, 2] in the last pass, with their graph.
        scales: by block omega [B, filters of the block] in the last pass, with their graph.
    """

    clean: int | None = None
    types: Tensor | None = None
    scales: Sequence[Tensor] = field(default=())


class ScaledConv(nn.Conv2d):
    """A convolution whose output channels are multiplied per image by a part of a block's signals."""

    def place(self, signals: Signals, block: int, first: int) -> None:
        """Say where its factors stand: from column ``first`` on of the block's."""
        self.signals, self.block, self.first = signals, block, first

    def forward(self, x: Tensor) -> Tensor:
        """Return omega_k(x) (W_k * x), [B, out, H', W']."""
        out = super().forward(x)
        scales = self.signals.scales[self.block][:, self.first : self.first + self.out_channels]
        return out * scales.to(out.dtype)[:, :, None, None]


class MixBN(nn.Module):
    """Two normalisations of the same channels, each for one type of image."""

    def __init__(self, norm: BatchNorm2d, signals: Signals) -> None:
        """Begin with ``norm`` for clean images and a copy of it for adversarial ones."""
        super().__init__()
        self.clean = norm
        self.adversarial = copy.deepcopy(norm)
        self.signals = signals

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [B, C, H, W]: in training each image by its type's branch, else by both, weighted."""
        if self.training:
            clean = self.signals.clean
            assert clean is not None
            # A branch without images must not be called: it would count a batch, and has nothing to normalise by.
            parts = [(self.clean, x[:clean]), (self.adversarial, x[clean:])]
            found = [norm(part) for norm, part in parts if len(part)]
            return found[0] if len(found) == 1 else torch.cat(found)
        assert self.signals.shares is not None
        # P_clean (s_clean x + t_clean) + P_adv (s_adv x + t_adv) as one affine map per image and channel.
        clean, adversarial = self.signals.shares.split(1, dim=1)
        pairs = zip(_affine(self.clean), _affine(self.adversarial), strict=True)
        scale, shift = ((clean * one + adversarial * other)[:, :, None, None] for one, other in pairs)
        return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype))


def _affine(norm: BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the scale and the shift [C] that a normalisation by its running statistics is."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class Router(nn.Module):
    """Images to the scales of every block's filters, and to their type."""

    def __init__(self, filters: Sequence[int], extractor: Sequence[int], channels: int) -> None:
        """Declare the layers; see :meth:`initialise` for their weights.

        Args:
            filters: by block, how many filters its residual branch has.
            extractor: output channels of the extractor's convolutions.
            channels: of the images.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for source, target in zip([channels, *extractor], extractor, strict=False):
            conv = skip_init(nn.Conv2d, source, target, 3, 2, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(target), nn.ReLU(inplace=True)]
        features = extractor[-1]
        self.extractor = nn.Sequential(*layers)
        self.signal_heads = nn.ModuleList(skip_init(nn.Linear, features, count) for count in filters)
        self.type_head = nn.Sequential(
            skip_init(nn.Linear, features, features), nn.ReLU(inplace=True), skip_init(nn.Linear, features, 2)
        )
        self.signals = Signals()
        self.call: Call | None = None

    def initialise(self, generator: torch.Generator | None) -> None:
        """Draw convolutions by He's rule and the type head by fan-in; the signal heads are zero."""
        for module in [*self.extractor, *self.type_head]:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        for head in self.signal_heads.parameters():
            nn.init.zeros_(head)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return omega in (0, 2) by block [B, filters] and the types' logits [B, 2], for normalised [B, 3, H, W]."""
        features = self.extractor(x).mean((2, 3))
        # In single precision at least: bfloat16 would leave omega eight bits.
        return [2 * _precise(head(features)).sigmoid() for head in self.signal_heads], self.type_head(features)


def awnet(network: Network, parameters: AwnetNetwork, generator: torch.Generator | None) -> None:
    """Turn a network into AW-Net, in place; its own weights, also by name, stay as they are.

    Args:
        network: any, of any kind of block.
        parameters: the router's.
        generator: source of the router's weights; None is torch's global generator.
    """
    filters = [sum(conv.out_channels for conv in block.convs) for block in network.blocks]
    router = Router(filters, parameters.extractor, network.stem.in_channels)
    router.initialise(generator)
    router.to(network.stem.weight)
    for number, block in enumerate(network.blocks):
        first = 0
        for layer, conv in enumerate(block.convs):
            scaled = _scaled(conv)
            scaled.place(router.signals, number, first)
            first += conv.out_channels
            cast(nn.ModuleList, block.convs)[layer] = scaled
            cast(nn.ModuleList, block.norms)[layer] = MixBN(block.norms[layer], router.signals)
        if block.projection_norm is not None:
            block.projection_norm = cast(BatchNorm2d, MixBN(block.projection_norm, router.signals))
    network.norm = cast(BatchNorm2d, MixBN(network.norm, router.signals))
    network.router = router
    # Functions of the module that they are given: copies of the network call their own router.
    network.register_forward_pre_hook(_route, with_kwargs=True)
    network.register_forward_hook(_forget, always_call=True)


def router_of(network: nn.Module) -> Router | None:
    """Return a network's router; None where it has none."""
    found = getattr(network, "router", None)
    return found if isinstance(found, Router) else None


@contextmanager
def routing(network: nn.Module, *, clean: int | None = None) -> Iterator[Call]:
    """Say what the images of the passes inside are, and see what the router says of them.

    Args:
        network: with a router.
        clean: for passes in training mode, how many of the images, the first ones, are clean; all others are
            adversarial. Passes in evaluation mode mix by the router's own judgement whatever is said here.

    Yields:
        what the last pass inside found.

    Raises:
        EwsError: the network has no router.
    """
    router = _router(network)
    before, router.call = router.call, Call(clean)
    try:
        yield router.call
    finally:
        router.call = before


def settle(network: Network, images: Tensor) -> None:
    """Set the running statistics of the router's normalisations to those of some images at its present weights.

    Args:
        network: with a router.
        images: float [B, 3, H, W] in [0, 1], of both types as in training.

    Raises:
        EwsError: the network has no router.
    """
    router = _router(network)
    norms = [layer for layer in router.extractor if isinstance(layer, nn.BatchNorm2d)]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    try:
        with torch.no_grad():
            router.extractor((images - network.mean) / network.std)
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.train(training)
            norm.momentum = momentum


def _router(network: nn.Module) -> Router:
    """Return a network's router; an :class:`EwsError` where it has none."""
    router = router_of(network)
    if router is None:
        raise EwsError("this network has no router, which only AW-Net (method awnet) has.")
    return router


def _scaled(conv: nn.Conv2d) -> ScaledConv:
    """Return a convolution with the same weight, as the very same parameter."""
    scaled = skip_init(
        ScaledConv,
        conv.in_channels,
        conv.out_channels,
        cast(tuple[int, int], conv.kernel_size),
        cast(tuple[int, int], conv.stride),
        padding=cast(tuple[int, int], conv.padding),
        bias=False,
    )
    scaled.weight = conv.weight
    return cast(ScaledConv, scaled)


def _route(network: Network, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Before a pass: run the router on its images."""
    if kwargs.get("subnet") is not None or len(args) > 1:
        raise EwsError("awnet: has no subnets: a slice of the weights knows nothing of filters scaled per image.")
    images: Tensor = args[0] if args else kwargs["x"]
    router = cast(Router, network.router)
    clean = None
    if network.training:
        clean = None if router.call is None else router.call.clean
        if clean is None or not 0 <= clean <= len(images):
            raise EwsError(
                f"awnet: a pass in training mode must say how many of its {len(images)} images, the first ones, are "
                "clean: ews.models.awnet.awnet.routing(network, clean=...)."
            )
    scales, types = router((images - network.mean) / network.std)
    if router.call is not None:
        router.call.scales, router.call.types = scales, types
    signals = router.signals
    signals.scales, signals.shares, signals.clean = scales, _precise(types).softmax(1), clean


def _forget(network: Network, args: Any, output: Any) -> None:
    """After a pass, also one that failed: keep nothing of its images."""
    signals = cast(Router, network.router).signals
    signals.scales, signals.shares, signals.clean = (), None, None


def _precise(values: Tensor) -> Tensor:
    """Return half-precision values in single precision, others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
