"""AutoAttack (Croce and Hein, ICML 2020) through its maintained package, one attack of the ensemble after the other."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Literal

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from ews.attacks.pgd import check_threat
from ews.core.errors import EwsError

Version = Literal["standard", "plus"]
PACKAGE = "pyautoattack"
FEWEST_CLASSES = 4
"""The targeted DLR loss divides by the distance to the fourth-largest logit."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the attacks found, all on the CPU.

    Attributes:
        images: like the clean ones; adversarial where an attack succeeded, else the clean image.
        robust: bool [B] by attack, after it and all before it; the first, ``clean``, before any.
        warnings: the package's own, as it words them, each as often as it came.
    """

    images: Tensor
    robust: dict[str, Tensor]
    warnings: list[str]


def autoattack(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    version: Version,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Ensemble:
    """Run AutoAttack in the maximum norm on images that it may hold in memory at once.

    The attacks are run in the package's order on the images that the ones before left, as the package does itself,
    which does not tell what each of them found. It seeds each attack anew for every batch and draws for the whole
    batch: its result is a function of the images, their order, the seed **and the size of the batch**. The global
    random state is as before afterwards.

    Args:
        network: in evaluation mode, on ``device``; images to logits. Its parameters need no gradient, and are quicker
            without.
        images: float32 [B, 3, H, W] in [0, 1], on the CPU.
        labels: int64 [B], on the CPU.
        epsilon: radius, in [0, 1].
        version: ``standard``: apgd-ce, apgd-t, fab-t, square; ``plus``: six attacks with more restarts.
        batch_size: images at a time, at least 1.
        seed: at least 0.
        device: where to compute.

    Raises:
        ValueError: a parameter outside its range.
        EwsError: images outside [0, 1] or not float32, a network in training mode, too few classes, logits that are not
            finite.
    """
    check_threat(epsilon=epsilon, step_size=1, steps=1)
    if batch_size < 1:
        raise ValueError(f"batch_size: {batch_size!r} is not a whole number of at least 1")
    check_range(images)
    classes = check_network(network, images[:batch_size].to(device))
    generators = [device] if device.type == "cuda" else []
    # The package looks at images and gradients as flat rows, without a copy.
    images = images.contiguous()
    with torch.random.fork_rng(devices=generators), _tracing_kept(), _logged() as warnings:
        attacker = AutoAttack(network, norm="Linf", eps=epsilon, version=version, seed=seed, device=device)
        # The package's nine targets are those of ten classes.
        targets = min(9, classes - 1)
        attacker.apgd_targeted.n_target_classes = attacker.fab.n_target_classes = targets
        attacks = list(attacker.attacks_to_run)
        found = images.clone()
        left = _correct(network, images, labels, batch_size=batch_size, device=device)
        robust = {"clean": left.clone()}
        for name in attacks:
            places = left.nonzero()[:, 0]
            if len(places):
                attacker.attacks_to_run = [name]
                attacked, predicted = attacker.run_standard_evaluation(
                    images[places], labels[places], batch_size=batch_size
                )
                fooled = predicted != labels[places]
                found[places[fooled]] = attacked[fooled]
                left[places[fooled]] = False
            robust[name] = left.clone()
    return Ensemble(images=found, robust=robust, warnings=warnings)


def package_version() -> str:
    """Return the version of the package that attacks."""
    return installed(PACKAGE)


def check_range(images: Tensor) -> None:
    """Refuse images that are not float32 in [0, 1], such as normalised ones.

    Raises:
        EwsError: says what they are.
    """
    if images.dtype != torch.float32 or images.ndim != 4:
        raise EwsError(f"attack: images are {images.dtype} {list(images.shape)}; float32 [B, 3, H, W] is needed.")
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise EwsError(
            f"attack: images reach from {low:g} to {high:g}; they must be in [0, 1]. Divide grey levels by 255, and "
            "leave the normalisation by mean and deviation to the network."
        )


def check_network(network: nn.Module, images: Tensor) -> int:
    """Refuse a network that AutoAttack cannot attack; return its number of classes.

    Args:
        network: on the device of ``images``.
        images: some to try, as in :func:`autoattack`.

    Raises:
        EwsError: it is in training mode, has too few classes, or logits that are not finite.
    """
    if network.training:
        raise EwsError(
            "AutoAttack: the network is in training mode; its outputs would depend on the batch. Use eval()."
        )
    with torch.no_grad():
        output = network(images)
    if not output.isfinite().all():
        raise EwsError("AutoAttack: the network's logits are not finite: its training run diverged. Train it again.")
    classes = int(output.shape[1])
    if classes < FEWEST_CLASSES:
        raise EwsError(
            f"AutoAttack: its targeted losses need at least {FEWEST_CLASSES} classes, and there are {classes}. "
            "Leave `adversarial` out of the study's evaluations."
        )
    return classes


def _correct(network: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int, device: torch.device) -> Tensor:
    with torch.no_grad():
        outputs = [network(part.to(device)).argmax(dim=1).cpu() for part in images.split(batch_size)]
    return torch.cat(outputs) == labels


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect the warnings that the package logs, in place of printing them."""
    found: list[str] = []
    logger = logging.getLogger("auto-attack")
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextmanager
def _tracing_kept() -> Iterator[None]:
    """Restore the trace function that the package switches off, on which debuggers and coverage rely."""
    trace = sys.gettrace()
    try:
        yield
    finally:
        sys.settrace(trace)
