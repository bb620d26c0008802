"""Projected gradient descent in two norms: Madry et al., ICLR 2018, and the inner loop of TRADES."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ews.attacks.ball import ball, uniform_start
from ews.attacks.norms import NORMS, Norm
from ews.models.inputs import Watched, WrongInput, check_images, check_labels, check_like

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
    norm: Norm = "Linf",
    checked: bool = True,
) -> Tensor:
    """Maximise the loss over the ball of radius ``epsilon`` around each image, by steps up the gradient.

    A step is along the gradient's sign in the maximum norm, along the gradient in the Euclidean one; after each the
    images are moved back into the ball, then into [0, 1].

    Gradients are taken with respect to the images alone: no weight's ``.grad`` changes. The loss is summed over the
    batch, so that an image's steps do not depend on the others' unless the network makes them (normalisation by the
    batch). The draws of ``start`` fill the batch in order.

    Args:
        logits: images like ``images`` to logits [B, classes]; normalisation of the input belongs inside.
        images: floating [B, C, H, W] in [0, 1].
        labels: int64 [B]; unused by ``kl``.
        epsilon: in [0, 1] units: ``Linf``: largest change of a pixel, at most 1; ``L2``: length of the change of all
            pixels, such as 0.5.
        step_size: of a step, in the norm and units of ``epsilon``, positive.
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
        norm: of the ball: ``Linf`` (maximum) or ``L2`` (Euclidean).
        checked: whether values are checked: that images are in [0, 1], that labels are classes, that the first logits
            are finite. Training leaves it out, since it waits for the device; types and shapes are always checked.

    Returns:
        adversarial images of the shape, type and device of ``images``, detached, in the ball and in [0, 1].

    Raises:
        WrongInput: a parameter outside its range, ``kl`` without a reference of the logits' shape; images, labels or
            logits that are none, or logits without a gradient.
    """
    check_threat(epsilon=epsilon, step_size=step_size, steps=steps, norm=norm)
    check_images(images, values=checked)
    check_labels(labels, images)
    if initial is not None:
        check_like("initial", initial, images)
    objective = _objective(loss, labels, reference)
    images = images.detach()
    within = ball(images, epsilon, norm)
    begin = _start(images, start, epsilon, generator, norm) if initial is None else initial.detach()
    attacked = within.project(begin) if clamp_start else begin.detach()
    network = Watched(logits, None if loss == "kl" else labels, values=checked)
    for _ in range(steps):
        attacked.requires_grad_()
        with torch.enable_grad():
            value = objective(network(attacked))
        if not value.requires_grad:
            raise WrongInput(
                "network: no gradient leads from its output to the images; leave detach() and no_grad() out of it."
            )
        (gradient,) = torch.autograd.grad(value, attacked)
        attacked = within.step(attacked.detach(), gradient, step_size)
    return attacked


def check_threat(*, epsilon: float, step_size: float, steps: int, norm: Norm = "Linf") -> None:
    """Refuse parameters that are no attack.

    Raises:
        WrongInput: names the parameter and its valid values.
    """
    if norm not in NORMS:
        raise WrongInput(f"norm: {norm!r} is none of {', '.join(NORMS)}.")
    if norm == "Linf" and not (_is_number(epsilon) and 0 <= epsilon <= 1):
        raise WrongInput(f"epsilon: {epsilon!r} is not in [0, 1]; 8 grey levels are 8/255.")
    if not (_is_number(epsilon) and 0 <= epsilon < math.inf):
        raise WrongInput(f"epsilon: {epsilon!r} is no length of at least 0; usual in the L2 norm is 0.5.")
    if not (_is_number(step_size) and 0 < step_size < math.inf):
        raise WrongInput(f"step_size: {step_size!r} is not a positive number; it is in [0, 1] units, such as 2/255.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise WrongInput(f"steps: {steps!r} is not a whole number of at least 1.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _start(images: Tensor, start: Start, epsilon: float, generator: torch.Generator | None, norm: Norm) -> Tensor:
    if generator is not None and not isinstance(generator, torch.Generator):
        raise WrongInput(f"generator: a {type(generator).__name__}; torch.Generator().manual_seed(0) is one, None too.")
    noise = torch.empty_like(images, memory_format=torch.contiguous_format)
    if start == "uniform" and norm == "L2":
        shares = torch.empty(len(images), dtype=images.dtype, device=images.device)
        return images + uniform_start(noise.normal_(generator=generator), shares.uniform_(generator=generator), epsilon)
    if start == "uniform":
        return images + noise.uniform_(-epsilon, epsilon, generator=generator)
    if start == "gaussian":
        return images + GAUSSIAN * noise.normal_(generator=generator)
    if start == "none":
        return images.clone()
    raise WrongInput(f"start: {start!r} is none of uniform, gaussian, none.")


def _objective(loss: Loss, labels: Tensor, reference: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return the function of the logits [B, classes] that is maximised, summed over the batch."""
    if loss == "cross_entropy":
        return lambda output: F.cross_entropy(_precise(output), labels, reduction="sum")
    if loss != "kl":
        raise WrongInput(f"loss: {loss!r} is none of cross_entropy, kl.")
    if reference is None:
        raise WrongInput("reference: kl compares with the logits on the clean images, and none are given.")
    target = _precise(reference.detach()).log_softmax(dim=1)

    def divergence(output: Tensor) -> Tensor:
        if output.shape != target.shape:
            raise WrongInput(
                f"reference: of shape {list(target.shape)}; that of the logits is needed, {list(output.shape)}."
            )
        return F.kl_div(_precise(output).log_softmax(dim=1), target, reduction="sum", log_target=True)

    return divergence


def _precise(logits: Tensor) -> Tensor:
    """Return logits of less than single precision in single precision: the loss of a batch is a large sum."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
