"""What a training method is made of: the batch, what the full pass leaves behind, and the kinds of component."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from ews.methods.epoch_sizes import MixtureParameters
from ews.models.network import Network
from ews.models.subnet import Subnet

Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class Table:
    """A CSV file: columns, and rows as mappings from them."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


class AugmentationLoss(Protocol):
    """The loss of an augmentation over the views it made of each image."""

    def __call__(self, logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the scalar loss of logits [V, B, classes] and labels [B]."""
        ...


@dataclass(frozen=True)
class Batch:
    """One batch as the augmentation yields it.

    Attributes:
        images: [V, B, 3, H, W] float32 in [0, 1]; view 0 is the one that accuracy is measured on.
        labels: [B] int64.
        iteration: number of the batch, counted from 1 over the whole training.
        epoch: number of the epoch, counted from 0.
        extra: what an objective's ``prepare`` adds, e.g. adversarial examples.
    """

    images: Tensor
    labels: Tensor
    iteration: int
    epoch: int
    extra: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Inputs on which extras distil, with the full network's answer to them.

    Attributes:
        images: [V, B, 3, H, W].
        logits: [V, B, classes] float32, detached.
        labels: [B] int64.
        weight: factor of an extra's term on this target, e.g. 1 on clean and 6 on adversarial
            images for TRADES.
    """

    images: Tensor
    logits: Tensor
    labels: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Pass:
    """The full network's pass over a batch.

    Attributes:
        loss: scalar with its graph.
        targets: what extras distil on; accuracy is that of the last one's view 0.
        metrics: detached scalars, averaged over the epoch into columns of epochs.csv.
    """

    loss: Tensor
    targets: list[Target]
    metrics: Metrics


@dataclass(frozen=True)
class Context:
    """What components are built from.

    Attributes:
        network: on its device.
        augmentation_loss: loss over views.
        seed: the cell's seed, for the components' random streams.
        label_smoothing: in [0, 1).
        device: where the training runs.
        bfloat16: whether the network runs under bfloat16 autocast.
        channels_last: whether images are laid out NHWC in memory.
        teachers: networks of other runs by their role, in evaluation mode, without gradients; see
            :func:`ews.pipeline.train.teacher_networks.load`.
        schedule: an epoch, from 0, to its learning rate as a share of the largest.
    """

    network: Network
    augmentation_loss: AugmentationLoss
    seed: int
    label_smoothing: float
    device: torch.device
    bfloat16: bool = False
    channels_last: bool = False
    teachers: Mapping[str, Network] = field(default_factory=dict)
    schedule: Callable[[int], float] = field(default=lambda epoch: 1.0)

    def logits(self, images: Tensor, subnet: Subnet | None = None) -> Tensor:
        """Run the network, or a subnet of it, on [B, 3, H, W] and return float32 logits [B, classes]."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.autocast():
            logits: Tensor = self.network(images) if subnet is None else self.network(images, subnet=subnet)
        # Losses are computed in float32 at least: bfloat16 has 8 bits for what a softmax needs 24 for.
        return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits

    def view_logits(self, images: Tensor, subnet: Subnet | None = None) -> Tensor:
        """Run [V, B, 3, H, W] in one pass, so that all views share batch statistics: [V, B, classes]."""
        views, size = images.shape[:2]
        return self.logits(images.flatten(0, 1), subnet).unflatten(0, (views, size))

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the precision that passes of the network run under."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()


class Component:
    """A part of a method. Built with its :class:`Context` and its parameters."""

    kind: ClassVar[Literal["modifier", "objective", "wrapper", "data", "extra"]]
    name: ClassVar[str]

    def parameters(self) -> Iterable[nn.Parameter]:
        """Yield parameters beside the network's that the network's optimiser trains."""
        return ()

    def begin_epoch(self, epoch: int) -> None:
        """Restart the random streams; they are functions of (seed, epoch), so resuming needs no stored state."""

    def end_epoch(self) -> None:
        """After an epoch's last step, before the network is validated and saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on, as tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""

    def tables(self) -> dict[str, Table]:
        """Return logs over the whole training by file name, e.g. ``controller.csv``."""
        return {}


class Modifier(Component):
    """Changes the network when it is built; its constructor does the work."""

    kind = "modifier"


class Objective(Component):
    """The loss of the full network.

    Attributes:
        adversarial: whether :meth:`validation_images` attacks; the clean validation error is then recorded as well.
        validation_count: number of validation images to measure on, a fixed stratified subset; None: all.
        reward_mode: whether subnets whose accuracy is a search's reward normalise by the batch (``train``), as the
            subnet that is distilled does, or by the running statistics (``eval``).
    """

    kind = "objective"
    adversarial: ClassVar[bool] = False
    validation_count: int | None = None
    reward_mode: Literal["train", "eval"] = "train"

    def prepare(self, batch: Batch) -> Batch:
        """Add to the batch what the loss needs at the unchanged weights, e.g. adversarial examples.

        Called once per iteration, outside all wrappers.
        """
        return batch

    def reward_input(self, batch: Batch) -> Tensor:
        """Return the images [B, 3, H, W] of a prepared batch on which weak subnets are searched."""
        return batch.images[0]

    def validation_images(self, images: Tensor, labels: Tensor, number: int) -> Tensor:
        """Return the images on which the validation error, which selects the best epoch, is measured.

        Called in evaluation mode. By default the clean images; adversarial training selects by robust error.

        Args:
            images: [B, 3, H, W] float32 in [0, 1].
            labels: [B] int64.
            number: of the batch among the validation batches, from 0; random starts are functions of (seed, number).
        """
        return images

    def __call__(self, batch: Batch) -> Pass:
        """Run the full network on a prepared batch."""
        raise NotImplementedError


class Data(Component):
    """Says what batches are made of.

    Attributes:
        mixture: how the dataset's extra images (:mod:`ews.data.extra`) are mixed in.
    """

    kind = "data"
    mixture: MixtureParameters


Gradients = Callable[[Batch], Metrics]


class Wrapper(Component):
    """Changes how the gradient of a batch is computed."""

    kind = "wrapper"

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Do what happens once per iteration at the unchanged weights, on the prepared batch, after the extras."""

    def __call__(self, gradients: Gradients, batch: Batch) -> Metrics:
        """Accumulate into ``.grad`` by calling ``gradients`` any number of times, on the batch or parts of it.

        The network's weights must be, bit for bit, the ones that they were before.
        """
        raise NotImplementedError


class Extra(Component):
    """Adds a term of its own after the full network's gradient."""

    kind = "extra"

    def begin(self, batch: Batch, objective: Objective) -> None:
        """Do what happens once per iteration, before the full pass, on the prepared batch."""

    def gradients(self, batch: Batch, full: Pass) -> Metrics:
        """Accumulate the term's gradient; the full pass's graph is already freed."""
        raise NotImplementedError


def error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of wrong top-1 predictions of logits [B, classes], a float32 scalar."""
    return (logits.argmax(1) != labels).float().mean()
