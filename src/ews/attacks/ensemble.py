"""AutoAttack (Croce and Hein, ICML 2020) through its maintained package, one attack of the ensemble after the other."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Literal, get_args

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from ews.attacks.norms import Norm
from ews.attacks.pgd import check_threat
from ews.core.device import usable
from ews.core.errors import EwsError
from ews.models.inputs import (
    WrongInput,
    check_classes,
    check_images,
    check_labels,
    check_logits,
)

Version = Literal["standard", "plus", "rand"]
VERSIONS: tuple[str, ...] = get_args(Version)
PACKAGE = "pyautoattack"
FEWEST_CLASSES = {"apgd-t": 4, "apgd-dlr": 3}
"""Of attacks whose losses divide by the distance to a logit that fewer classes do not have: the fourth, the third."""


EOT = 20
"""Passes over which the package's version for random networks averages a gradient."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the attacks found, all on the CPU.

    Attributes:
        images: like the clean ones; adversarial where an attack succeeded, else the clean image.
        robust: bool [B] by attack, after it and all before it; the first, ``clean``, before any.
        warnings: the package's own, as it words them, each as often as it came.
        left_out: attacks of the version whose losses are not defined for so few classes.
    """

    images: Tensor
    robust: dict[str, Tensor]
    warnings: list[str]
    left_out: tuple[str, ...] = ()


def autoattack(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    version: Version,
    batch_size: int,
    seed: int,
    device: torch.device | str,
    norm: Norm = "Linf",
    eot: int = EOT,
) -> Ensemble:
    """Run AutoAttack on images that it may hold in memory at once.

    The attacks are run in the package's order on the images that the ones before left, as the package does itself,
    which does not tell what each of them found. It seeds each attack anew for every batch and draws for the whole
    batch: its result is a function of the images, their order, the seed **and the size of the batch**. The global
    random state is as before afterwards.

    Args:
        network: in evaluation mode, on ``device``; images to logits. Its parameters need no gradient, and are quicker
            without.
        images: float32 [B, C, H, W] in [0, 1], at least one, on the CPU.
        labels: int64 [B], classes, on the CPU.
        epsilon: radius in the norm: ``Linf``: in [0, 1]; ``L2``: at least 0, such as 0.5.
        version: ``standard``: apgd-ce, apgd-t, fab-t, square; ``plus``: six attacks with more restarts; ``rand``, for
            networks that draw random numbers in evaluation mode: apgd-ce, apgd-dlr, by gradients that are means over
            passes. With fewer than four classes apgd-t is left out, with fewer than three apgd-dlr too.
        batch_size: images at a time, at least 1.
        seed: at least 0, below 2**63.
        device: where to compute.
        norm: ``Linf`` (maximum) or ``L2`` (Euclidean).
        eot: of version ``rand``, the passes that a gradient is the mean of (expectation over transformation).

    Raises:
        WrongInput: a parameter outside its range; images, labels or logits that are none.
        EwsError: a network in training mode, or logits that are not finite; there is no such device.
    """
    device = usable(device)
    check_threat(epsilon=epsilon, step_size=1, steps=1, norm=norm)
    if version not in VERSIONS:
        raise WrongInput(f"version: {version!r} is none of {', '.join(VERSIONS)}.")
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0), ("eot", eot, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise WrongInput(f"{name}: {value!r} is not a whole number of at least {least}.")
    if seed >= 2**63:
        raise WrongInput(f"seed: {seed} is not below 2**63.")
    check_range(images)
    check_labels(labels, images)
    classes = check_network(network, images[:batch_size].to(device))
    check_classes(labels, classes)
    generators = [device] if device.type == "cuda" else []
    # The package looks at images and gradients as flat rows, without a copy.
    images = images.contiguous()
    with torch.random.fork_rng(devices=generators), _tracing_kept(), _logged() as warnings:
        # Of what the network itself draws, too, the result is a function.
        torch.manual_seed(seed)
        attacker = AutoAttack(network, norm=norm, eps=epsilon, version=version, seed=seed, device=device)
        # The package's nine targets are those of ten classes.
        targets = min(9, classes - 1)
        attacker.apgd_targeted.n_target_classes = attacker.fab.n_target_classes = targets
        if version == "rand":
            attacker.apgd.eot_iter = eot
        left_out = tuple(name for name in attacker.attacks_to_run if classes < FEWEST_CLASSES.get(name, 0))
        attacks = [name for name in attacker.attacks_to_run if name not in left_out]
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
    # Which losses so few classes do not have says `left_out`; the package's word for it takes in some that they have.
    warnings = [text for text in warnings if not text.startswith(f"with only {classes} classes")]
    return Ensemble(images=found, robust=robust, warnings=warnings, left_out=left_out)


def package_version() -> str:
    """Return the version of the package that attacks."""
    return installed(PACKAGE)


def check_range(images: Tensor) -> None:
    """Refuse images that are not float32 in [0, 1], such as normalised ones.

    Raises:
        EwsError: says what they are.
    """
    check_images(images, values=True)
    if images.dtype != torch.float32:
        raise WrongInput(f"images: {images.dtype}; AutoAttack needs torch.float32. Convert them with images.float().")
    if images.device.type != "cpu":
        raise WrongInput(f"images: on {images.device}; AutoAttack takes them on the CPU, and computes on `device`.")


def check_network(network: nn.Module, images: Tensor) -> int:
    """Refuse a network that AutoAttack cannot attack; return its number of classes.

    Args:
        network: on the device of ``images``.
        images: some to try, as in :func:`autoattack`.

    Raises:
        WrongInput: it is no module, or its output no logits.
        EwsError: it is in training mode, or its logits are not finite.
    """
    if not isinstance(network, nn.Module):
        raise WrongInput(f"network: a {type(network).__name__}; AutoAttack needs a torch.nn.Module.")
    if network.training:
        raise EwsError(
            "AutoAttack: the network is in training mode; its outputs would depend on the batch. Use eval()."
        )
    with torch.no_grad():
        output = check_logits(network(images), len(images))
    if not output.isfinite().all():
        raise EwsError("AutoAttack: the network's logits are not finite: its training run diverged. Train it again.")
    return int(output.shape[1])


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
