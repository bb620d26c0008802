"""Projected gradient descent in the maximum norm: Madry et al., ICLR 2018, and the inner loop of TRADES."""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Start = Literal["uniform", "gaussian", "none"]
Loss = Literal["cross_entropy", "kl"]

GAUSSIAN = 0.001
"""Standard deviation of the start that TRADES uses (Zhang et al., ICML 2019), in [0, 1] units."""


def pgd(
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    start: Start,
    loss: Loss,
    generator: torch.Generator | None,
    clamp_start: bool = True,
    reference: Tensor | None = None,
    initial: Tensor | None = None,
) -> Tensor:
    """Maximise the loss over the ball of radius ``epsilon`` around each image, by steps along the gradient's sign.

    Gradients are taken with respect to the images alone: no weight's ``.grad`` changes. The loss is summed over the
    batch, so that an image's steps do not depend on the others' unless the network makes them (normalisation by the
    batch). The draws of ``start`` fill the batch in order.

    Args:
        logits: images like ``images`` to logits [B, classes]; normalisation of the input belongs inside.
        images: floating [B, C, H, W] in [0, 1]. The range is not checked: that would wait for the device each time.
        labels: int64 [B]; unused by ``kl``.
        epsilon: largest change of a pixel in [0, 1] units, in [0, 1].
        step_size: change of a pixel per step, positive.
        steps: at least 1.
        start: ``uniform`` in the ball; ``gaussian``: of standard deviation 0.001, as in TRADES; ``none``: the image
            (where the gradient of ``kl`` vanishes).
        loss: ``cross_entropy`` with the labels; ``kl``: KL(softmax(reference) || softmax(logits)).
        generator: source of the start, on the device of ``images``; None is torch's global generator.
        clamp_start: whether the start is moved into the ball and into [0, 1] before the first gradient. False leaves
            that to the first step, as in the code of TRADES: the first gradient is then taken where the start was
            drawn, also where a pixel lies outside of [0, 1].
        reference: for ``kl``, the logits on the clean images [B, classes]; no gradient flows into it.
        initial: where to start in place of ``start``, like ``images``.

    Returns:
        adversarial images of the shape, type and device of ``images``, detached, in the ball and in [0, 1].

    Raises:
        ValueError: a parameter outside its range, ``kl`` without a reference, images that are not floating.
    """
    check_threat(epsilon=epsilon, step_size=step_size, steps=steps)
    if not images.is_floating_point():
        raise ValueError(f"images: {images.dtype}; a floating type with values in [0, 1] is needed")
    if len(labels) != len(images):
        raise ValueError(f"labels: {len(labels)} for {len(images)} images; one for each is needed")
    objective = _objective(loss, labels, reference)
    images = images.detach()
    # Rounded at most half a unit in the last place off the ball, and never out of [0, 1].
    low, high = (images - epsilon).clamp_(0, 1), (images + epsilon).clamp_(0, 1)
    begin = _start(images, start, epsilon, generator) if initial is None else initial.detach()
    attacked = begin.clamp(low, high) if clamp_start else begin.detach()
    for _ in range(steps):
        attacked.requires_grad_()
        with torch.enable_grad():
            value = objective(logits(attacked))
        (gradient,) = torch.autograd.grad(value, attacked)
        attacked = (attacked.detach() + step_size * gradient.sign()).clamp_(low, high)
    return attacked


def check_threat(*, epsilon: float, step_size: float, steps: int) -> None:
    """Refuse parameters that are no attack.

    Raises:
        ValueError: names the parameter and its valid values.
    """
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon: {epsilon!r} is not in [0, 1]; 8 grey levels are 8/255")
    if not (step_size > 0 and math.isfinite(step_size)):
        raise ValueError(f"step_size: {step_size!r} is not a positive number; it is in [0, 1] units, such as 2/255")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps: {steps!r} is not a whole number of at least 1")


def _start(images: Tensor, start: Start, epsilon: float, generator: torch.Generator | None) -> Tensor:
    noise = torch.empty_like(images, memory_format=torch.contiguous_format)
    if start == "uniform":
        return images + noise.uniform_(-epsilon, epsilon, generator=generator)
    if start == "gaussian":
        return images + GAUSSIAN * noise.normal_(generator=generator)
    if start == "none":
        return images.clone()
    raise ValueError(f"start: {start!r} is none of uniform, gaussian, none")


def _objective(loss: Loss, labels: Tensor, reference: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return the function of the logits [B, classes] that is maximised, summed over the batch."""
    if loss == "cross_entropy":
        return lambda output: F.cross_entropy(_precise(output), labels, reduction="sum")
    if loss != "kl":
        raise ValueError(f"loss: {loss!r} is none of cross_entropy, kl")
    if reference is None:
        raise ValueError("reference: kl compares with the logits on the clean images, and none are given")
    target = _precise(reference.detach()).log_softmax(dim=1)
    return lambda output: F.kl_div(_precise(output).log_softmax(dim=1), target, reduction="sum", log_target=True)


def _precise(logits: Tensor) -> Tensor:
    """Return logits of less than single precision in single precision: the loss of a batch is a large sum."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
