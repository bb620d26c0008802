"""What an epoch's batches hold: how many labelled and how many extra images each, and so how many there are.

The one place that counts iterations; nothing here brings torch, so that planning and cost estimates count alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ews.core.errors import EwsError
from ews.methods.method_specs import MethodParameters


class MixtureParameters(MethodParameters):
    """What batches are made of where a method takes extra images."""

    share: float = Field(default=0.5, gt=0, lt=1, description="Share of a batch that is extra images.")
    epoch: Literal["batches", "pass"] = Field(
        default="batches",
        description="batches: as many iterations as without extra images, which are drawn with replacement, as "
        "released; pass: each labelled image once, extra ones without replacement.",
    )


@dataclass(frozen=True)
class EpochSizes:
    """The batches of an epoch, in order.

    Attributes:
        labelled: how many labelled images each holds.
        extra: how many extra images.
    """

    labelled: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def iterations(self) -> int:
        """How many batches there are."""
        return len(self.labelled)

    @property
    def images(self) -> int:
        """How many images are shown, labelled and extra ones."""
        return sum(self.labelled) + sum(self.extra)


def epoch_sizes(images: int, batch_size: int, mixture: MixtureParameters | None) -> EpochSizes:
    """Return what the batches of an epoch hold.

    Without extra images: all labelled ones, each once; the last batch holds what remains, and is left out where that
    is a single image, which has no spread to normalise by.

    ``epoch: batches``, the sampler of Carmon et al. 2019: as many batches as without extra images, so that the length
    of a training does not depend on the share. Of a batch of B images int(B share) are extra and the others labelled,
    the next of a permutation that is new in each epoch. Where the permutation's last, shorter part is reached, extra
    images fill the batch. A permutation always lasts for the epoch, since no batch takes more labelled images than it
    would without extra ones. ``epoch: pass``: all labelled images, round(B share) extra ones in a batch, and in
    proportion in the last one.

    Args:
        images: labelled training images, at least 1.
        batch_size: B.
        mixture: how extra images are mixed in; None: there are none.

    Raises:
        EwsError: the share leaves batches without one of the two kinds.
    """
    if mixture is None:
        whole, rest = divmod(images, batch_size)
        labelled = _parts(whole * batch_size if rest == 1 and whole else images, batch_size)
        return EpochSizes(labelled, (0,) * len(labelled))
    wanted = mixture.share * batch_size
    more = int(wanted) if mixture.epoch == "batches" else round(wanted)
    size = batch_size - more
    if not 0 < more < batch_size:
        raise EwsError(
            f"methods.rst.share = {mixture.share}: batches of {batch_size} images would have {size} labelled and "
            f"{more} extra ones; both must be at least 1. Change the share, or the recipe's batch_size."
        )
    labelled = _parts(images, size)
    if mixture.epoch == "pass":
        return EpochSizes(labelled, tuple(max(1, round(number * more / size)) for number in labelled))
    labelled = labelled[: epoch_sizes(images, batch_size, None).iterations]
    return EpochSizes(labelled, tuple(batch_size - number for number in labelled))


def mixture_of(parameters: Iterable[MethodParameters]) -> MixtureParameters | None:
    """Return how a method, of such components, mixes extra images into its batches; None: it does not."""
    return next((one for one in parameters if isinstance(one, MixtureParameters)), None)


def _parts(images: int, size: int) -> tuple[int, ...]:
    """Return the sizes of consecutive parts, the last of which holds what remains."""
    whole, rest = divmod(images, size)
    return (size,) * whole + ((rest,) if rest else ())
