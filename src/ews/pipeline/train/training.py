"""One training in memory: what an epoch does, and everything that the next epoch depends on."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ews import augment, models
from ews.augment.augmentation import Source
from ews.core import device as devices
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, stream_seed, torch_stream
from ews.data.dataset import Dataset
from ews.data.split import check_held_out
from ews.methods.component import Batch, Context
from ews.methods.compose import compose
from ews.methods.epoch_sizes import epoch_sizes
from ews.models.network import Head, Network
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.trainable import CELL, Counts, check_cell, check_counts
from ews.pipeline.train import optim
from ews.pipeline.train.extra_images import ExtraImages
from ews.pipeline.train.validate import validation_error

VALIDATION_BATCH = 250


class Training:
    """The network, its method and its optimiser, ready for any epoch.

    Initial weights are a function of (seed, "init"), the order of images of (seed, "order", epoch),
    places of labelled and extra images in their batches of (seed, "mixed", epoch), dropout of
    (seed, "dropout", epoch); augmentation and subnets likewise. Hence no random state is stored.
    """

    def __init__(
        self,
        cell: Cell,
        dataset: Dataset,
        *,
        device: torch.device,
        workers: int,
        teachers: Mapping[str, Network] | None = None,
    ) -> None:
        """Build everything for a cell.

        Args:
            cell: the training run's resolved parameters.
            dataset: the data; its test part is not touched.
            device: where to train.
            workers: processes that augment; no effect on values.
            teachers: networks of other runs by their role, on the device.

        Raises:
            EwsError: settings that do not go together or that the dataset has too few images for, or it lacks the extra
                images that the method needs.
        """
        check_cell(cell)
        counts = Counts(len(dataset.training_indices()), len(dataset.validation), dataset.image_size)
        check_counts(cell, counts, where=f"{CELL}, of dataset {dataset.name}")
        check_held_out(dataset.train_labels, dataset.validation, classes=dataset.classes, where=dataset.name)
        self.seed = cell.seed
        self.recipe = cell.recipe
        self.dataset = dataset
        self.device = device
        self.indices = dataset.training_indices(self.recipe.train_images)

        head = Head(
            classes=len(dataset.classes), mean=dataset.mean, std=dataset.std, generator=torch_stream(self.seed, "init")
        )
        network = models.build(cell.architecture.parameters, head, dynamic=cell.architecture.dynamic_parameters)
        self.network = network.to(device)
        # Faster than NCHW on CUDA's tensor cores and, measured, by a quarter to a third on CPUs.
        self.network.to(memory_format=torch.channels_last)
        source = Source(images=dataset.train_images, seed=self.seed, device=device, workers=workers)
        self.augment = augment.build(cell.augmentation.parameters, source, cell.augmentation.crop)
        self.context = Context(
            network=self.network,
            augmentation_loss=self.augment.loss,
            seed=self.seed,
            label_smoothing=self.recipe.label_smoothing,
            device=device,
            bfloat16=devices.bfloat16(self.recipe.precision, device),
            channels_last=True,
            teachers=teachers or {},
            schedule=lambda epoch: optim.learning_rate(self.recipe, epoch) / self.recipe.learning_rate,
        )
        self.method = compose(list(cell.method.parameters.values()), self.context)
        self.validation = dataset.validation_indices(self.method.objective.validation_count)
        mixture = self.method.mixture
        self.sizes = epoch_sizes(len(self.indices), self.recipe.batch_size, mixture)
        self.extra = (
            ExtraImages(cell, dataset, sizes=self.sizes, form=mixture.epoch, device=device, workers=workers)
            if mixture
            else None
        )
        self.optimizer = optim.optimiser([*self.network.parameters(), *self.method.parameters()], self.recipe)

    def epoch(self, epoch: int, *, progress: Any = iter) -> dict[str, float]:
        """Train for one epoch and return its row of epochs.csv.

        Args:
            epoch: counted from 0; the row counts from 1.
            progress: wraps the iterator over batches, e.g. a progress bar.

        Raises:
            EwsError: the loss or a weight is not finite.
        """
        rate = optim.learning_rate(self.recipe, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(stream_seed(self.seed, "dropout", epoch))
        self.method.begin_epoch(epoch)
        self.network.train()
        sums: dict[str, Tensor] = {}
        for batch in progress(self.batches(epoch)):
            devices.search_kernels(len(batch.labels) >= self.recipe.batch_size)
            metrics = self.method.gradients(batch)
            optim.step(self.optimizer, clip=self.recipe.gradient_clip)
            for name, value in metrics.items():
                # On the device and in float64; converted once per epoch, so that no step waits for the host.
                weighted = value.detach().double() * len(batch.labels)
                sums[name] = sums[name] + weighted if name in sums else weighted
        self.method.end_epoch()
        means = {name: float(total) / self.sizes.images for name, total in sums.items()}
        self._check_finite(means, epoch)
        loss, error = means.pop("loss"), means.pop("error")
        return {"epoch": epoch + 1, "learning_rate": rate, "train_loss": loss, "train_error": error, **means}

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield an epoch's batches: labelled images in a fresh order, of which it shows the first ones.

        Which image is left out, where some are, differs by epoch.

        Extra images stand among the labelled ones in an order of chance, since methods divide batches: EWS distils on
        the first images where ``batch_fraction`` says so, DAMP, SAM and ASAM go by sub-batches of consecutive ones.
        """
        order = numpy_stream(self.seed, "order", epoch).permutation(self.indices)[: sum(self.sizes.labelled)]
        labels = torch.from_numpy(np.asarray(self.dataset.train_labels[order], dtype=np.int64)).to(self.device)
        # All batches hold as many labelled images as the first; only the last one may hold fewer.
        size = self.sizes.labelled[0]
        views = self.augment.loader(order, epoch=epoch, batch_size=size)
        more = self.extra.loader(epoch) if self.extra else None
        places = numpy_stream(self.seed, "mixed", epoch)
        for number, (images, part) in enumerate(zip(views, labels.split(size), strict=True)):
            if more is not None:
                extra_images, extra_labels = next(more)
                images, part = torch.cat([images, extra_images], dim=1), torch.cat([part, extra_labels])
                mixed = torch.from_numpy(places.permutation(len(part))).to(self.device)
                images, part = images[:, mixed], part[mixed]
            iteration = epoch * self.sizes.iterations + number + 1
            yield Batch(images=images, labels=part, iteration=iteration, epoch=epoch)

    def validate(self) -> dict[str, float]:
        """Return errors on the validation images, in [0, 1]; none without such images.

        Returns:
            ``validation_error``, which selects the best epoch, on the images that the objective wants (attacked ones
            in adversarial training); then, where those are not the clean ones, ``validation_clean_error``.
        """
        if len(self.validation) == 0:
            return {}
        measure = partial(
            validation_error,
            self.network,
            self.context.logits,
            images=self.dataset.train_images,
            labels=self.dataset.train_labels,
            indices=self.validation,
            batch_size=VALIDATION_BATCH,
            device=self.device,
        )
        objective = self.method.objective
        devices.search_kernels(False)
        errors = {"validation_error": measure(shown=objective.validation_images)}
        return errors | {"validation_clean_error": measure()} if objective.adversarial else errors

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "method": self.method.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.method.load_state_dict(state["method"])

    def _check_finite(self, means: Mapping[str, float], epoch: int) -> None:
        bad = [f"{name} = {value}" for name, value in means.items() if not math.isfinite(value)]
        if not all(bool(parameter.isfinite().all()) for parameter in self.network.parameters()):
            bad.append("a weight is not finite")
        if bad:
            raise EwsError(
                f"the training run diverged in epoch {epoch + 1}: {', '.join(bad)}. Lower recipe.learning_rate "
                f"({self.recipe.learning_rate}), add recipe.warmup_epochs, or set recipe.gradient_clip "
                f"(now {self.recipe.gradient_clip}); then run again."
            )


class Stopwatch:
    """Seconds of a clock, by default of the wall's, since it was made or last read."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.start = clock()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now = self.clock()
        seconds, self.start = now - self.start, now
        return seconds
