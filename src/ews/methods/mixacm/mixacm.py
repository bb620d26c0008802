"""MixACM (Awais et al., NeurIPS 2021): robustness from a robust teacher, without adversarial examples in training."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.methods.adversarial_objective import Adversarial
from ews.methods.adversarial_objective_spec import AdversarialParameters
from ews.methods.channel_maps import chosen_blocks, distance, watched
from ews.methods.component import Batch, Context, Pass, Target
from ews.methods.mixacm.mixacm_spec import MixacmParameters
from ews.subnets.distil import kl_divergence

ROLE = "robust"
MIXED, PARTNER, SHARE, LOGITS, MAP = "mixed", "partner label", "share", "teacher logits", "teacher map"
"""Keys of ``Batch.extra``, see :meth:`Mixacm.prepare`; of the maps ``teacher map 0`` and so on."""


class Mixacm(Adversarial):
    """(1 - a_soft) mixup-CE + a_soft T^2 KL(teacher || student) + a_acm sum_i L_i, all on one mixup batch.

    Each batch is mixed once: x~_i = c x_i + (1 - c) x_p(i), p a random permutation of the batch and c from
    Beta(alpha, alpha), one for the batch. It runs through the frozen robust teacher (evaluation mode, no gradient) and
    through the student.

    - mixup-CE = c CE(M(x~), y) + (1 - c) CE(M(x~), y_p) (Zhang et al., ICLR 2018), smoothed as the recipe says; the
      augmentation joins the views, which are all mixed alike.
    - KL of the two softmaxes at temperature T, mean over images and views.
    - L_i = mean over images of || s_i / ||s_i|| - t_i / ||t_i|| ||, s_i = W_i g(A_i) of the student's and t_i = g(A_i)
      of the teacher's activations at the end of stage i, g the mean over space of |A|
      (:mod:`ews.methods.channel_maps`). W_i is the identity where both have as many channels, else a linear map without
      bias, trained with the network.

    From the authors' figures and text: one mixup batch through both, a vector of length C per block, a learned map for
    other channel counts, the sum over blocks, soft labels and mixup-CE; and that the first block is the first layer
    alone, blocks 2 to 4 having low-, mid- and high-level features. Not verified: g, its normalisation, the distance,
    how the three terms are weighted. Chosen here: the parameters' values, no bias in W_i, its start, which stages, that
    g sees pre-activation blocks' sums before normalisation, and the larger share first (see :meth:`prepare`).

    The best epoch is that of the lowest error under PGD on validation images, as for at and trades; nothing else is
    ever attacked. With EWS, subnets are distilled on the mixed images from the full network's answers to them, which
    needs no labels (``distillation: kl``); weak ones are searched on the unmixed images, whose accuracy is defined. So
    ``full_accuracy`` in ``controller.csv``, that of the mixed images, is no match for the subnets' accuracies.
    """

    name = "mixacm"

    def __init__(self, context: Context, parameters: MixacmParameters) -> None:
        """Find the stages and make the maps between channels.

        Args:
            context: the network, its teacher under ``robust`` and the seed.
            parameters: ``stages`` count from the last, e.g. (-3, -2, -1); the student's last is compared with the
                teacher's last. The attack is that of the PGD that selects the best epoch.

        Raises:
            EwsError: no such stage, or the teacher is missing.
        """
        attack = AdversarialParameters(
            epsilon=parameters.validation_epsilon,
            step_size=parameters.validation_step_size,
            steps=parameters.validation_steps,
            attack_mode="eval",
            validation_steps=parameters.validation_steps,
            validation_step_size=parameters.validation_step_size,
            validation_images=parameters.validation_images,
        )
        super().__init__(context, attack)
        if ROLE not in context.teachers:
            raise EwsError(f"method mixacm: needs the teacher {ROLE!r}; loaded are {sorted(context.teachers)}.")
        self.mixup = parameters.mixup
        self.soft_weight = parameters.soft_weight
        self.temperature = parameters.temperature
        self.acm_weight = parameters.acm_weight
        self.teacher = replace(context, network=context.teachers[ROLE])
        self.student_blocks = chosen_blocks(context.network, parameters.stages, where="method mixacm: student")
        self.teacher_blocks = chosen_blocks(self.teacher.network, parameters.stages, where="method mixacm: teacher")
        self.matching = [
            self._matching(place, context.network.blocks[one].outputs, self.teacher.network.blocks[other].outputs)
            for place, (one, other) in enumerate(zip(self.student_blocks, self.teacher_blocks, strict=True))
        ]

    def parameters(self) -> list[nn.Parameter]:
        """Return the W_i [teacher's channels, student's channels] that are not the identity."""
        return [weight for weight in self.matching if weight is not None]

    def state_dict(self) -> dict[str, Any]:
        """Return the W_i."""
        return {"matching": [weight.detach() for weight in self.parameters()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        with torch.no_grad():
            for weight, stored in zip(self.parameters(), state["matching"], strict=True):
                weight.copy_(stored)

    def begin_epoch(self, epoch: int) -> None:
        """Restart the stream of mixtures: a function of (seed, epoch)."""
        self._mixtures = numpy_stream(self.context.seed, "mixup", epoch)

    def prepare(self, batch: Batch) -> Batch:
        """Mix the batch and ask the teacher, once for all passes that follow.

        Of c and 1 - c the larger is taken as the image's own share. As the permutation is uniform, batches have the
        same distribution as without, and ``batch.labels`` are those that weigh most.

        Returns:
            the batch with, in ``extra``, the mixed images [V, B, 3, H, W] in [0, 1], the labels [B] of what was mixed
            in, the own share c [B], the teacher's logits [V, B, classes] and its channel maps [V, B, C] of each stage.
        """
        size = len(batch.labels)
        share = float(self._mixtures.beta(self.mixup, self.mixup)) if self.mixup > 0 else 1.0
        share = max(share, 1 - share)
        partner = torch.from_numpy(self._mixtures.permutation(size)).to(batch.labels.device)
        mixed = share * batch.images + (1 - share) * batch.images[:, partner]
        with torch.no_grad(), watched(self.teacher.network, self.teacher_blocks) as maps:
            logits = self.teacher.view_logits(mixed)
        extra = {
            MIXED: mixed,
            PARTNER: batch.labels[partner],
            SHARE: torch.full_like(batch.labels, share, dtype=mixed.dtype),
            LOGITS: logits,
            **{f"{MAP} {place}": found.unflatten(0, mixed.shape[:2]) for place, found in enumerate(maps)},
        }
        return replace(batch, extra={**batch.extra, **extra})

    def reward_input(self, batch: Batch) -> Tensor:
        """Return the unmixed view 0: the accuracy on a mixture of two classes has no label to be measured by."""
        return batch.images[0]

    def __call__(self, batch: Batch) -> Pass:
        """Run the student on the mixed images."""
        mixed, share = batch.extra[MIXED], batch.extra[SHARE][0]
        with watched(self.context.network, self.student_blocks) as maps:
            logits = self.context.view_logits(mixed)
        classification = torch.zeros_like(share)
        for labels, part in ((batch.labels, share), (batch.extra[PARTNER], 1 - share)):
            # Augmentations' own terms do not depend on the labels, and the two parts add to one.
            classification = classification + part * self.context.augmentation_loss(logits, labels, self.cross_entropy)
        soft = soft_labels(logits.flatten(0, 1), batch.extra[LOGITS].flatten(0, 1), self.temperature)
        matched = [self._match(place, found) for place, found in enumerate(maps)]
        wanted = [batch.extra[f"{MAP} {place}"].flatten(0, 1) for place in range(len(maps))]
        acm = torch.stack([distance(one, other) for one, other in zip(matched, wanted, strict=True)]).sum()
        loss = (1 - self.soft_weight) * classification + self.soft_weight * soft + self.acm_weight * acm
        metrics = {"mixup_loss": classification.detach(), "soft_loss": soft.detach(), "acm_loss": acm.detach()}
        return Pass(loss=loss, targets=[Target(mixed, logits.detach(), batch.labels)], metrics=metrics)

    def _match(self, place: int, found: Tensor) -> Tensor:
        """Return W_i s for channel maps s [B, student's channels]."""
        weight = self.matching[place]
        return found if weight is None else found @ weight.T.to(found.dtype)

    def _matching(self, place: int, inputs: int, outputs: int) -> nn.Parameter | None:
        """Return W_i, uniform in +-1/sqrt(inputs) by a stream of its own; None for the identity."""
        if inputs == outputs:
            return None
        generator = torch_stream(self.context.seed, "channel matching", place)
        weight = torch.empty(outputs, inputs).uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
        return nn.Parameter(weight.to(self.context.device))


def soft_labels(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over examples, a scalar in nats.

    Args:
        student: logits [B, classes].
        teacher: logits [B, classes], without a graph.
        temperature: T > 0; T^2 keeps the size of the gradient (Hinton et al. 2015).
    """
    return temperature**2 * kl_divergence(teacher / temperature, student / temperature).mean()
