"""The default objective: cross-entropy over the augmentation's views."""

from torch import Tensor, nn

from ews.methods.component import Batch, Context, Objective, Pass, Target


class CrossEntropy(Objective):
    """The augmentation's loss of the full network, all views in one pass.

    Standard and AutoAugment: cross-entropy of the one view. AugMix: cross-entropy of the clean view
    plus its Jensen-Shannon term. Label smoothing, where the recipe has it, acts on the cross-entropy.
    """

    name = "cross_entropy"

    def __init__(self, context: Context) -> None:
        self.context = context

    def __call__(self, batch: Batch) -> Pass:
        """Run the full network on all views of the batch."""
        logits = self.context.view_logits(batch.images)
        loss = self.context.augmentation_loss(logits, batch.labels, self.cross_entropy)
        target = Target(images=batch.images, logits=logits.detach(), labels=batch.labels)
        return Pass(loss=loss, targets=[target], metrics={})

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits [B, classes] and labels [B]."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=self.context.label_smoothing)
