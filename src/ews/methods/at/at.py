"""AT, adversarial training (Madry et al., ICLR 2018): cross-entropy on the strongest examples that PGD finds."""

from torch import Tensor

from ews.methods.adversarial_objective import ADVERSARIAL, Adversarial
from ews.methods.component import Batch, Pass, Target


class At(Adversarial):
    """Equation (3): CE(M(x'), y) with x' = argmax of CE(M(x'), y) in the ball, by PGD from a uniform start.

    The attack ascends the plain cross-entropy, also where the recipe smooths the labels of the loss. With EWS the
    one target is x': equation (4), CE(M(x'), y) + lambda KL(M(x') || alpha(x')).
    """

    name = "at"

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return x' [B, 3, H, W] of the full network in its present mode."""
        return self.ascend(images, labels)

    def __call__(self, batch: Batch) -> Pass:
        """Run the full network on x'; the augmentation joins the attacked views as it does clean ones."""
        images = batch.extra[ADVERSARIAL]
        logits = self.context.view_logits(images)
        loss = self.context.augmentation_loss(logits, batch.labels, self.cross_entropy)
        return Pass(loss=loss, targets=[Target(images, logits.detach(), batch.labels)], metrics={})
