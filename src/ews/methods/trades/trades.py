"""TRADES (Zhang et al., ICML 2019): clean cross-entropy, and a penalty on what an attack can change."""

from dataclasses import replace

from torch import Tensor

from ews.attacks.pgd import pgd
from ews.methods.adversarial_objective import ADVERSARIAL, Adversarial, clean_logits
from ews.methods.component import Batch, Context, Pass, Target, error
from ews.methods.trades.trades_spec import TradesParameters
from ews.subnets.distil import kl_divergence


class Trades(Adversarial):
    """CE(M(x), y) + beta KL(M(x) || M(x')), with x' the argmax of that divergence, by PGD from a Gaussian start.

    The gradient flows into both sides of the divergence, as in TRADES' own code. Clean and attacked images run in
    two passes, each normalised by its own batch statistics. The start x + 0.001 z is clamped to [0, 1] where the
    parameters say so; in TRADES' code only the first step's result is.

    With EWS both parts are distilled, each by the weight of its part (methods of the released code): the loss is
    CE(M(x), y) + lambda KL(M(x) || alpha(x)) + beta (KL(M(x) || M(x')) + lambda KL(M(x') || alpha(x'))). So the
    targets are x with weight 1 and x' with weight beta; x' is the last one, on which accuracies are measured. The
    released script rewards its subnets while the network is still in the evaluation mode of the attack
    (``reward_mode``).
    """

    name = "trades"

    def __init__(self, context: Context, parameters: TradesParameters) -> None:
        """See :class:`ews.methods.adversarial_objective.Adversarial`."""
        super().__init__(context, parameters)
        self.beta = parameters.beta
        self.clamp_start = parameters.clamp_start
        self.reward_mode = parameters.reward_mode

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return x' [B, 3, H, W] of the full network in its present mode.

        Not in bfloat16: the attack begins with the divergence between x and x + 0.001 z, a difference that 8 bits
        do not resolve.
        """
        context = replace(self.context, bfloat16=False)
        return pgd(
            context.logits,
            images,
            labels,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
            start="gaussian",
            clamp_start=self.clamp_start,
            loss="kl",
            generator=self._generator,
            checked=False,
            reference=clean_logits(context, images),
        )

    def __call__(self, batch: Batch) -> Pass:
        """Run the full network on x, then on x'."""
        images = batch.extra[ADVERSARIAL]
        clean = self.context.view_logits(batch.images)
        attacked = self.context.view_logits(images)
        classification = self.context.augmentation_loss(clean, batch.labels, self.cross_entropy)
        divergence = kl_divergence(clean.flatten(0, 1), attacked.flatten(0, 1)).mean()
        targets = [
            Target(batch.images, clean.detach(), batch.labels),
            Target(images, attacked.detach(), batch.labels, weight=self.beta),
        ]
        metrics = {"clean_error": error(clean.detach()[0], batch.labels), "divergence": divergence.detach()}
        return Pass(loss=classification + self.beta * divergence, targets=targets, metrics=metrics)
