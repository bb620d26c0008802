"""What adversarial objectives share: attacks that leave the network alone, random starts, robust validation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from ews.attacks.mode import frozen_statistics
from ews.attacks.pgd import Start, pgd
from ews.core.seeds import torch_stream
from ews.methods.adversarial_objective_spec import AdversarialParameters
from ews.methods.component import Batch, Context, Objective
from ews.models.network import Network

ADVERSARIAL = "adversarial"
"""Key of ``Batch.extra``: the attacked images x' [V, B, 3, H, W] in [0, 1], detached."""


class Adversarial(Objective):
    """An objective on adversarial examples x' of the full network, made once per iteration at the unchanged weights.

    Everything that follows - the loss, EWS's reward and distillation, AWP's perturbation - sees the same x'.
    All views of an augmentation are attacked. Random starts are functions of (seed, epoch).
    """

    adversarial = True

    def __init__(self, context: Context, parameters: AdversarialParameters) -> None:
        """Keep the parameters.

        Args:
            context: the network and the seed.
            parameters: in mode ``train`` the attacked network normalises by the batch, as in the pass that the loss
                comes from; in mode ``eval`` by the running statistics; neither updates them. The attack by which the
                best epoch is selected has cross-entropy, evaluation mode and a uniform start, whatever the training's
                attack is, and a fixed stratified subset of the validation images.
        """
        self.context = context
        self.epsilon = parameters.epsilon
        self.step_size = parameters.step_size
        self.steps = parameters.steps
        self.attack_mode = parameters.attack_mode
        self.validation_steps = parameters.validation_steps
        self.validation_step_size = parameters.validation_step_size
        self.validation_count = parameters.validation_images

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

    def ascend(self, images: Tensor, labels: Tensor, *, start: Start = "uniform", clamp_start: bool = True) -> Tensor:
        """Return images after PGD on the cross-entropy, as the parameters say, detached."""
        return pgd(
            self.context.logits,
            images,
            labels,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
            start=start,
            clamp_start=clamp_start,
            loss="cross_entropy",
            generator=self._generator,
            checked=False,
        )

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
                checked=False,
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
