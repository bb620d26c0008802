"""What adversarial objectives share: attacks that leave the network alone, random starts, robust validation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ews.attacks.mode import frozen_statistics
from ews.attacks.pgd import check, pgd
from ews.core.errors import EwsError, unknown
from ews.core.seeds import torch_stream
from ews.methods.component import Batch, Context, Objective
from ews.models.network import Network

Mode = Literal["train", "eval"]
MODES = ("train", "eval")
ADVERSARIAL = "adversarial"
"""Key of ``Batch.extra``: the attacked images x' [V, B, 3, H, W] in [0, 1], detached."""


class Adversarial(Objective):
    """An objective on adversarial examples x' of the full network, made once per iteration at the unchanged weights.

    Everything that follows - the loss, EWS's reward and distillation, AWP's perturbation - sees the same x'.
    All views of an augmentation are attacked. Random starts are functions of (seed, epoch).
    """

    adversarial = True

    def __init__(
        self,
        context: Context,
        *,
        epsilon: float,
        step_size: float,
        steps: int,
        attack_mode: str,
        validation_steps: int,
        validation_step_size: float,
        validation_images: int | None,
    ) -> None:
        """Check and keep the parameters.

        Args:
            context: the network and the seed.
            epsilon: largest change of a pixel, in [0, 1] units.
            step_size: of the training's attack, in [0, 1] units.
            steps: of the training's attack, at least 1.
            attack_mode: ``train``: the attacked network normalises by the batch, as in the pass that the loss comes
                from; ``eval``: by the running statistics. Neither updates them.
            validation_steps: steps of the attack by which the best epoch is selected: cross-entropy, evaluation
                mode, uniform start, whatever the training's attack is.
            validation_step_size: of that attack, in [0, 1] units.
            validation_images: how many validation images it runs on, a fixed stratified subset; None: all.

        Raises:
            EwsError: a value out of range.
        """
        if attack_mode not in MODES:
            raise unknown("attack_mode", attack_mode, MODES, where=f"method {self.name}")
        for size, count in ((step_size, steps), (validation_step_size, validation_steps)):
            try:
                check(epsilon=epsilon, step_size=size, steps=count)
            except ValueError as error:
                raise EwsError(f"method {self.name}: {error}.") from None
        self.context = context
        self.epsilon = epsilon
        self.step_size = step_size
        self.steps = steps
        self.attack_mode = attack_mode
        self.validation_steps = validation_steps
        self.validation_step_size = validation_step_size
        self.validation_count = validation_images

    def begin_epoch(self, epoch: int) -> None:
        """Restart the stream of the attacks' starts: a function of (seed, epoch)."""
        self._generator = torch_stream(self.context.seed, "attack", epoch, device=self.context.device)

    def prepare(self, batch: Batch) -> Batch:
        """Add x' to the batch under :data:`ADVERSARIAL`."""
        views = len(batch.images)
        images, labels = batch.images.flatten(0, 1), batch.labels.repeat(views)
        with attacked(self.context.network, self.attack_mode):
            found = self.attack(images, labels)
        return replace(batch, extra={**batch.extra, ADVERSARIAL: found.unflatten(0, (views, len(batch.labels)))})

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return x' [B, 3, H, W], detached, for images [B, 3, H, W] and labels [B]."""
        raise NotImplementedError

    def reward_input(self, batch: Batch) -> Tensor:
        """Return x' of view 0: weak subnets are those of low adversarial accuracy."""
        return batch.extra[ADVERSARIAL][0]

    def validation_images(self, images: Tensor, labels: Tensor, number: int) -> Tensor:
        """Return the images under the attack that selects the best epoch; the same starts in every epoch."""
        generator = torch_stream(self.context.seed, "validation attack", number, device=self.context.device)
        with attacked(self.context.network, "eval"):
            return pgd(
                self.context.logits,
                images,
                labels,
                epsilon=self.epsilon,
                step_size=self.validation_step_size,
                steps=self.validation_steps,
                start="uniform",
                loss="cross_entropy",
                generator=generator,
            )

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits [B, classes] and labels [B], smoothed as the recipe says."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=self.context.label_smoothing)


@contextmanager
def attacked(network: Network, mode: str) -> Iterator[None]:
    """Put a network into the mode that it is attacked in; nothing of it has changed afterwards.

    Running statistics are neither updated nor, in mode ``train``, read; dropout, in that mode, draws its masks from
    torch's global generator. The capture of effects for the search ``gradient`` is suspended: an attack's backward
    passes are not those of the loss.
    """
    was_training = network.training
    with frozen_statistics(network), network.capture_suspended():
        network.train(mode == "train")
        try:
            yield
        finally:
            network.train(was_training)


def clean_logits(context: Context, images: Tensor) -> Tensor:
    """Return logits [B, classes] without a graph, in the mode that the network is in."""
    with torch.no_grad():
        return context.logits(images)
