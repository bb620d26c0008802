"""Whether what studies ask for fits the images that there are, checked before anything is downloaded or trained."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ews.core.errors import EwsError
from ews.data.sources import Source
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.schema import Params

SIDES = {"digits": 32, "cifar_binary": 32}
"""Pixels a side of all images of some kinds of source; others may have any size."""


class Size(NamedTuple):
    """What is known of a source's images before they are here; None: not known.

    Attributes:
        train: number of training images.
        test: number of test images.
        side: pixels a side.
    """

    train: int | None
    test: int | None
    side: int | None = None

    @classmethod
    def of(cls, source: Source) -> "Size":
        """Return what the manifest of sources says."""
        return cls(source.train, source.test, source.image_size or SIDES.get(source.kind))


def check_sizes(params: Params, plans: Mapping[str, Iterable[Planned]], sizes: Mapping[str, Size]) -> None:
    """Refuse subsets larger than what they are taken from, and a padding larger than the images.

    Args:
        params: for the datasets' sources and validation shares.
        plans: the cells of studies.
        sizes: of the sources by name.

    Raises:
        EwsError: a subset or a padding is too large.
    """
    for entry in (entry for planned in plans.values() for entry in planned):
        size = sizes[params.datasets[entry.cell.dataset].source]
        for key, value, available in _subsets(entry, size, params.datasets[entry.cell.dataset].validation):
            if value is not None and available is not None and value > available:
                raise EwsError(f"params.yaml: {entry.results}: {key} = {value}: at most {available} images are there.")
        if params.datasets[entry.cell.dataset].validation == 0:
            for asked in entry.asked:
                if EVALUATIONS[asked.kind].of_validation:
                    raise EwsError(
                        f"params.yaml: {entry.results}: the evaluation {asked.kind} needs validation images, and "
                        f"datasets.{entry.cell.dataset}.validation is 0."
                    )
        # Teachers are of the same dataset.
        padding = entry.cell.augmentation.crop.padding
        if size.side is not None and padding > size.side:
            raise EwsError(
                f"params.yaml: {entry.results}: datasets.{entry.cell.dataset}.standard.padding = {padding}: its images "
                f"have {size.side} pixels a side; valid: 0 to {size.side}."
            )


def _subsets(entry: Planned, size: Size, validation: float) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield the key of each subset, how many images it has and of how many they are taken."""
    left = None if size.train is None else size.train - round(size.train * validation)
    for run, cell in entry.teachers.items():
        yield f"{run}: recipe train_images", cell.recipe.train_images, left
    yield "recipe train_images", entry.cell.recipe.train_images, left
    subset = entry.settings.test_images
    yield "evaluation.test_images", subset, size.test
    measured = size.test if subset is None else subset
    held_out = None if size.train is None else round(size.train * validation)
    for asked in entry.asked:
        spec = EVALUATIONS[asked.kind]
        for key, count in spec.subsets(asked.options).items():
            yield f"evaluation.{asked.kind}.{key}", count, held_out if spec.of_validation else measured
