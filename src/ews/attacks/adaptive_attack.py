"""An attack on a network that judges what its input is: it deceives the classifier and the judge at once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ews.attacks.ball import ball
from ews.attacks.norms import Norm
from ews.attacks.pgd import check_threat
from ews.models.awnet.awnet import ADVERSARIAL, routing
from ews.models.inputs import WrongInput, check_classes, check_images, check_labels, check_like, check_logits


def deceive(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    weight: float,
    initial: Tensor,
    norm: Norm = "Linf",
) -> Tensor:
    """Maximise CE(logits, y) + weight CE(types, adversarial) over the ball around each image, by steps like PGD's.

    The second term is large where the router takes the image for a clean one, so that filters and normalisations meant
    for clean images meet an adversarial one. Dynamic networks are where attacks on the class alone may fail (Carlini
    and Wagner, 2017, on detectors). With weight 0 this is PGD on the cross-entropy.

    Args:
        network: with a router, in evaluation mode.
        images: float [B, C, H, W] in [0, 1].
        labels: int64 [B], on their device.
        epsilon, step_size, steps, norm: as of :func:`ews.attacks.pgd.pgd`.
        weight: of the router's cross-entropy, at least 0.
        initial: where to start, like ``images``; moved into the ball and into [0, 1].

    Returns:
        adversarial images like ``images``, detached, in the ball and in [0, 1].

    Raises:
        WrongInput: a parameter outside its range; images, labels or logits that are none.
        EwsError: the network has no router.
    """
    check_threat(epsilon=epsilon, step_size=step_size, steps=steps, norm=norm)
    check_images(images, values=True)
    check_labels(labels, images)
    check_like("initial", initial, images)
    if not 0 <= weight < float("inf"):
        raise WrongInput(f"weights: {weight!r} is not a finite number of at least 0.")
    kinds = torch.full_like(labels, ADVERSARIAL)
    within = ball(images, epsilon, norm)
    found = within.project(initial.detach())
    for step in range(steps):
        found.requires_grad_()
        with torch.enable_grad(), routing(network) as call:
            logits = check_logits(network(found), len(found))
            if step == 0:
                check_classes(labels, logits.shape[1])
            assert call.types is not None
            # Summed, so that an image's steps do not depend on the others'.
            value = F.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, labels, reduction="sum")
            value = value + weight * F.cross_entropy(call.types, kinds, reduction="sum")
        (gradient,) = torch.autograd.grad(value, found)
        found = within.step(found.detach(), gradient, step_size)
    return found
