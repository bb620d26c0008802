"""Whether what studies ask for fits the images that there are, checked before anything is downloaded or trained."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ews.core.errors import EwsError
from ews.corruptions.corrupt_images import SMALLEST_SIDE
from ews.data.sources import Source
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trainable import Counts, check_counts

SIDES = {"digits": 32, "cifar_binary": 32}
"""Pixels a side of all images of some kinds of source; others may have any size."""


class Size(NamedTuple):
    """What is known of a source's images before they are here; None: not known.

    Attributes:
        train: number of training images.
        test: number of test images.
        side: pixels a side.
        classes: how many different labels.
    """

    train: int | None
    test: int | None
    side: int | None = None
    classes: int | None = None

    @classmethod
    def of(cls, source: Source) -> "Size":
        """Return what the manifest of sources says."""
        return cls(source.train, source.test, source.image_size or SIDES.get(source.kind), source.classes)


def check_sizes(params: Params, plans: Mapping[str, Iterable[Planned]], sizes: Mapping[str, Size]) -> None:
    """Refuse what the images that there are do not suffice for.

    Args:
        params: for the datasets' sources and validation shares.
        plans: the cells of studies.
        sizes: of the sources by name.

    Raises:
        EwsError: a validation share, a subset, a padding or a number of sub-batches is too large, or images are too
            small for an evaluation.
    """
    for entry in (entry for planned in plans.values() for entry in planned):
        dataset = params.datasets[entry.cell.dataset]
        size = sizes[dataset.source]
        check_validation(entry.cell.dataset, dataset.validation, size)
        held_out = None if size.train is None else round(size.train * dataset.validation)
        left = None if size.train is None or held_out is None else size.train - held_out
        # Teachers are of the same dataset.
        for run, cell in ((entry.results, entry.cell), *entry.teachers.items()):
            check_counts(cell, Counts(left, held_out, size.side), where=f"params.yaml: {run}")
        for key, value, available in _subsets(entry, size, held_out):
            if value is not None and available is not None and value > available:
                raise EwsError(f"params.yaml: {entry.results}: {key} = {value}: at most {available} images are there.")
        if dataset.validation == 0:
            for asked in entry.asked:
                if EVALUATIONS[asked.kind].of_validation:
                    raise EwsError(
                        f"params.yaml: {entry.results}: the evaluation {asked.kind} needs validation images, and "
                        f"datasets.{entry.cell.dataset}.validation is 0."
                    )
        for asked in entry.asked:
            if EVALUATIONS[asked.kind].workers and size.side is not None and size.side < SMALLEST_SIDE:
                raise EwsError(
                    f"params.yaml: {entry.results}: the evaluation `{asked.kind}` changes images of {SMALLEST_SIDE} "
                    f"pixels a side at least, and those of {entry.cell.dataset} have {size.side}. Leave it out."
                )


def check_validation(name: str, share: float, size: Size) -> None:
    """Refuse a share of validation images that leaves none of them, or a class without training images.

    Args:
        name: of the dataset.
        share: below ``datasets.<name>.validation``.
        size: of its source.

    Raises:
        EwsError: as far as the counts say so; the classes' own are known when the dataset is prepared.
    """
    if size.train is None or share == 0:
        return
    held_out = round(size.train * share)
    least = size.classes or 1
    if held_out < 1 or size.train - held_out < least:
        raise EwsError(
            f"params.yaml: datasets.{name}.validation = {share}: {held_out} of {size.train} training images would be "
            f"held out; valid: 1 to {size.train - least} images, so that each class keeps one to train on, or 0."
        )


def _subsets(entry: Planned, size: Size, held_out: int | None) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield the key of each subset of what is measured, how many images it has and of how many they are taken."""
    subset = entry.settings.test_images
    yield "evaluation.test_images", subset, size.test
    measured = size.test if subset is None else subset
    for asked in entry.asked:
        spec = EVALUATIONS[asked.kind]
        for key, count in spec.subsets(asked.options).items():
            yield f"evaluation.{asked.kind}.{key}", count, held_out if spec.of_validation else measured
