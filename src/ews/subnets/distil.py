"""The loss that enhances a weak subnet: the full network teaches it (paper, Eq. (2))."""

import torch.nn.functional as F
from torch import Tensor

from ews.core.errors import unknown

LOSSES = ("kl", "ce")
REDUCTIONS = ("batchmean", "mean")


def kl_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(p||q) = sum p log(p/q) for each example.

    Args:
        teacher: logits of p, floating [B, classes].
        student: logits of q, floating [B, classes].

    Returns:
        float32 (or float64) [B], nats, not negative up to rounding; computed from log-probabilities, so finite for
        any finite logits.
    """
    log_p = F.log_softmax(_wide(teacher), dim=1)
    log_q = F.log_softmax(_wide(student), dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def distillation(subnet: Tensor, full: Tensor, labels: Tensor, *, loss: str, reduction: str) -> Tensor:
    """Return the term that Eq. (2) multiplies by lambda.

    Args:
        subnet: the subnet's logits [B, classes].
        full: the full network's logits [B, classes]; they teach, no gradient flows into them.
        labels: int64 [B]; read by ``ce`` only.
        loss: ``kl``: KL(full||subnet), which is how the paper's KL(alpha(x), M(x)) is coded by its authors; ``ce``:
            cross-entropy of the subnet on the labels, the alternative that the paper found to work less well.
        reduction: of ``kl``; ``batchmean``: mean over examples, Algorithm 1's 1/N; ``mean``: divided by the number
            of classes as well, as in the authors' CIFAR and ImageNet scripts. ``ce`` is a mean over examples.

    Returns:
        a scalar.

    Raises:
        EwsError: unknown loss or reduction.
    """
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES, where="ews distillation")
    if reduction not in REDUCTIONS:
        raise unknown("reduction", reduction, REDUCTIONS, where="ews distillation")
    if loss == "ce":
        return F.cross_entropy(_wide(subnet), labels)
    term = kl_divergence(full.detach(), subnet).mean()
    return term / subnet.shape[1] if reduction == "mean" else term


def _wide(logits: Tensor) -> Tensor:
    """Return half-precision logits as float32; others as they are."""
    return logits.float() if logits.dtype.itemsize < 4 else logits
