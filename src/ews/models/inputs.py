"""What networks and attacks on them are given, checked: images in [0, 1], labels that are classes, logits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ews.core.errors import EwsError

RANGE = "Divide grey levels by 255, and leave the normalisation by mean and deviation to the network"


class WrongInput(EwsError, ValueError):
    """What a function of the library cannot take: an :class:`EwsError`, and a :class:`ValueError` as Python has it."""


def check_images(images: Any, *, values: bool, slack: float = 0.0) -> None:
    """Refuse what are no images for a network.

    Args:
        images: floating [B, C, H, W] in [0, 1], at least one.
        values: whether the range is checked, for which a GPU is waited for.
        slack: by how much values may be outside.

    Raises:
        WrongInput: says what they are.
    """
    if not isinstance(images, Tensor):
        raise WrongInput(f"images: a {type(images).__name__}; a tensor, floating [B, C, H, W] in [0, 1], is needed.")
    if not images.is_floating_point():
        raise WrongInput(
            f"images: {images.dtype}; a floating type with values in [0, 1] is needed. Of grey levels: images / 255."
        )
    if images.ndim != 4:
        raise WrongInput(
            f"images: of shape {list(images.shape)}; [B, C, H, W] is needed. A single image is images[None]."
        )
    if images.numel() == 0:
        raise WrongInput(f"images: of shape {list(images.shape)}; there must be at least one image with pixels.")
    if values:
        low, high = (float(value) for value in images.detach().aminmax())
        # A comparison that NaN fails too.
        if not (low >= -slack and high <= 1 + slack):
            raise WrongInput(f"images reach from {low:g} to {high:g}; they must be in [0, 1]. {RANGE}.")


def check_labels(labels: Tensor, images: Tensor) -> None:
    """Refuse what are no labels of images [B, ...]: int64 [B], on their device; not yet whether they are classes.

    Raises:
        WrongInput: says what they are.
    """
    count = len(images)
    if not isinstance(labels, Tensor):
        raise WrongInput(f"labels: a {type(labels).__name__}; a tensor, int64 [{count}], is needed.")
    if labels.dtype != torch.int64:
        raise WrongInput(f"labels: {labels.dtype}; torch.int64 is needed. Convert them with labels.long().")
    if labels.ndim != 1:
        raise WrongInput(f"labels: of shape {list(labels.shape)}; a class for each image, [{count}], is needed.")
    if len(labels) != count:
        raise WrongInput(f"labels: {len(labels)} for {count} images; one for each is needed.")
    if labels.device != images.device:
        raise WrongInput(f"labels: on {labels.device}, and the images on {images.device}; one device is needed.")


def check_like(name: str, given: Tensor, images: Tensor) -> None:
    """Refuse what is not of the shape of the images that it belongs to.

    Raises:
        WrongInput: names it and both shapes.
    """
    if given.shape != images.shape:
        raise WrongInput(f"{name}: of shape {list(given.shape)}; that of the images is needed, {list(images.shape)}.")


def check_logits(output: Any, count: int) -> Tensor:
    """Return what a network said of ``count`` images; refuse what are no logits.

    Args:
        output: floating [count, classes], of at least two classes.
        count: images that it was given.

    Raises:
        WrongInput: says what it is.
    """
    if not isinstance(output, Tensor):
        raise WrongInput(
            f"network: its output is a {type(output).__name__}; a tensor of logits [B, classes] is needed. "
            "Attack a function that returns these alone, such as lambda images: network(images)[0]."
        )
    if output.ndim != 2 or len(output) != count or not output.is_floating_point():
        raise WrongInput(
            f"network: its output is {output.dtype} {list(output.shape)} for {count} images; "
            f"floating logits [{count}, classes] are needed."
        )
    if output.shape[1] < 2:
        raise WrongInput("network: its output has one class; to attack it there must be another one to mistake it for.")
    return output


def check_classes(labels: Tensor, classes: int) -> None:
    """Refuse labels that are no classes.

    Raises:
        WrongInput: says what they are.
    """
    if len(labels) == 0:
        return
    low, high = (int(value) for value in labels.aminmax())
    if low < 0 or high >= classes:
        raise WrongInput(
            f"labels reach from {low} to {high}; the network has {classes} classes: valid are 0 to {classes - 1}."
        )


class Watched:
    """A network whose outputs are checked: their form every time, their values the first time."""

    def __init__(self, logits: Callable[[Tensor], Tensor], labels: Tensor | None, *, values: bool) -> None:
        """Take the network.

        Args:
            logits: images to logits [B, classes].
            labels: int64 [B], which must be classes; None: not looked at.
            values: whether the values are checked, for which a GPU is waited for.

        Raises:
            WrongInput: it cannot be called.
        """
        if not callable(logits):
            raise WrongInput(f"network: a {type(logits).__name__}; a function of images, or a module, is needed.")
        self._logits = logits
        self._labels = labels
        self._values = values

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits of images.

        Raises:
            WrongInput: they are none.
        """
        output = check_logits(self._logits(images), len(images))
        if self._values:
            self._values = False
            if not output.isfinite().all():
                raise WrongInput("network: its logits are not finite; no gradient leads anywhere. Was it trained?")
            if self._labels is not None:
                check_classes(self._labels, output.shape[1])
        return output


SLACK = 0.01
"""How far outside of [0, 1] a network takes pixels: attacks may begin a little outside, as TRADES' does."""


@dataclass(frozen=True)
class InputCheck:
    """A hook before a network's passes that refuses what is no batch of its images; left out of compiled code.

    Attributes:
        channels: of the images.
        side: their pixels a side.
    """

    channels: int
    side: int

    def __call__(self, network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Look at a pass's images.

        Raises:
            WrongInput: they are of another type, shape, device or range.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return
        images: Any = args[0] if args else kwargs.get("x")
        # An empty batch has logits: none.
        if isinstance(images, Tensor) and images.ndim == 4 and len(images) == 0:
            return
        check_images(images, values=False)
        expected = [self.channels, self.side, self.side]
        if list(images.shape[1:]) != expected:
            raise WrongInput(
                f"images: of shape {list(images.shape)}; this network takes [B, {', '.join(map(str, expected))}]: "
                "channels first, of the size that it was trained on."
            )
        weight = next(network.parameters())
        if images.device != weight.device:
            raise WrongInput(
                f"images: on {images.device}, and the network on {weight.device}; move one of them with .to(device)."
            )
        computes = torch.promote_types(images.dtype, weight.dtype)
        if computes != weight.dtype and not torch.is_autocast_enabled(images.device.type):
            raise WrongInput(f"images: {images.dtype}, and the network {weight.dtype}; use images.to({weight.dtype}).")
        if images.device.type != "meta":
            check_images(images, values=True, slack=SLACK)
