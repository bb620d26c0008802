"""DAMP, data augmentation via multiplicative perturbations of the weights (Trinh et al., NeurIPS 2024)."""

from ews.core.seeds import torch_stream
from ews.methods import parts
from ews.methods.component import Batch, Context, Gradients, Metrics, Wrapper
from ews.methods.damp.damp_spec import DampParameters
from ews.methods.weight_noise import Noise

# On a CPU as measured by benchmarks/methods.py; on CUDA nothing has been measured [choice].
FASTEST = {"cpu": "sequential", "cuda": "grouped"}


class Damp(Wrapper):
    """The gradient of E L(w * xi), xi ~ N(1, sigma^2) for every element, estimated with M draws a batch.

    Source: the paper's objective and its authors' code, which has what is perturbed, M, the gradient without the
    factor, clean weights for decay and evaluation, synchronised statistics and sigma. Chosen: what is marked so below,
    and everything about EWS beside it.

    The batch is divided into M sub-batches, and each has its own draw w~ = w (1 + sigma z), z ~ N(0, 1). Perturbed are
    the kernels of convolutions and linear layers and the scales of normalisations; not biases, shifts and running
    statistics. The gradient is that of the mean loss over the batch, so the average over the sub-batches (weighted by
    size where they differ). The optimiser's step, weight decay and every evaluation are on the clean w.

    ``gradient``:

    - ``perturbed``, the authors' code and the default: dL/dw~, added to the gradient of w as it is;
    - ``objective``: xi dL/dw~, which is the gradient of the stated objective with respect to w.

    They differ in more than noise. For a linear model w x with squared error, E[w~] = w makes the mean of the first one
    the gradient of the plain loss: in the mean DAMP then changes nothing. The mean of the second one also has
    sigma^2 diag(x x^T) w, the gradient of the penalty that E L adds to L.

    One pass computes all sub-batches: each layer in turn applies M weights to M parts of its input, and a batch
    normalisation takes its statistics over the whole batch, as M synchronised devices would. So running statistics are
    updated once a pass, as in vanilla training, and any objective, augmentation or further component runs unchanged.
    All passes of an iteration see the same draws: TRADES' clean and attacked image, and EWS's subnets where they use
    a weight whole. Where a subnet slices a weight, the slice is of one further draw for the whole batch [choice]; each
    example's loss is at a w * xi of the same distribution all the same, and only which examples share a draw differs.
    Adversarial examples and EWS's rewards are made at the clean weights. The loss and error of ``epochs.csv`` are those
    at the perturbed ones.

    Cost: the operations of a vanilla step, in M passes of B / M images through each layer, plus M normal numbers for
    each weight, which no batch size makes fewer (benchmarks/methods.py).
    """

    name = "damp"

    def __init__(self, context: Context, parameters: DampParameters) -> None:
        """Find the weights to perturb.

        Args:
            context: the network and the seed.
            parameters: a batch of fewer images than ``sub_batches``, the last one of an epoch, has a draw for each.
                ``form`` says how a layer with M weights is computed, with the same values up to rounding:
                ``sequential``, part after part; ``vmapped``, by ``torch.vmap``; ``grouped``, as one convolution in M
                groups; ``auto``: whichever is fastest on the device. Parts of unequal size are always computed one
                after the other.
        """
        self.context = context
        self.sigma = parameters.sigma
        self.sub_batches = parameters.sub_batches
        self.objective = parameters.gradient == "objective"
        form = parameters.form
        self.form = FASTEST.get(context.device.type, "sequential") if form == "auto" else form
        self.weights = parts.kernels_and_scales(context.network)

    def begin_epoch(self, epoch: int) -> None:
        """Restart the stream of the noise: a function of (seed, epoch)."""
        self._generator = torch_stream(self.context.seed, "damp", epoch, device=self.context.device)

    def __call__(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Compute the gradients with every pass at perturbed weights; the weights themselves do not move."""
        parts.check_first(self.sub_batches, batch, where="method damp")
        with Noise(
            self.weights,
            sigma=self.sigma,
            sub_batches=self.sub_batches,
            objective=self.objective,
            form=self.form,
            views=len(batch.images),
            images=len(batch.labels),
            generator=self._generator,
        ):
            return gradients(batch)
