"""What the evaluation on corrupted images says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.fingerprint import Use
from ews.core.values import Count, Section, Seed, one_of
from ews.corruptions import BENCHMARK, NAMES
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.pipeline.evaluate.evaluation_specs import (
    EvaluationSpec,
    Findings,
    Images,
    Options,
    Percent,
    Settings,
    distinct,
    section_of,
)

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Corruption = Annotated[str, one_of(NAMES)]
SEVERITIES = (1, 2, 3, 4, 5)


class CorruptionSection(Section):
    """Which corruptions are evaluated."""

    # No part of a result, and so of no folder's name.
    stored: bool = Field(
        default=True,
        description="true: sets on disk, made once; false: images are corrupted while they are measured.",
    )
    names: Annotated[tuple[Corruption, ...], Field(min_length=1, strict=False), AfterValidator(distinct)] = Field(
        default=BENCHMARK, description="Corruptions, all at 5 severities."
    )
    images: Count | None = Field(
        default=None, description="A stratified choice of that many of the test images; null: all that are measured."
    )


class CorruptionOptions(Options):
    """Which corruptions, and how they are made; seed and profile are None of published images."""

    names: Annotated[tuple[Corruption, ...], Field(min_length=1, strict=False), AfterValidator(distinct)] = Field(
        description="Corruptions, in the order of the results."
    )
    seed: Seed | None = Field(default=None, description="Of the corruptions.")
    profile: Literal["cifar", "tiny", "imagenet"] | None = Field(default=None, description="Whose severity constants.")


class CorruptionError(Document):
    """A row: error in percent of the last epoch's weights on one corruption at one severity."""

    corruption: str
    severity: Annotated[int, Field(ge=1, le=SEVERITIES[-1])]
    error: Percent
    n: Images


class CorruptedImages(Document):
    """What a corruption's images were: seed and profile of those made here, the checksum of others."""

    source: str | None = None
    seed: int | None = None
    profile: str | None = None
    sha256: str | None = None


class CorruptionFindings(Findings):
    """A row per corruption and severity, in the order of the options, and what the images were, by corruption."""

    rows: tuple[CorruptionError, ...]
    corruptions: dict[str, CorruptedImages]


def asked(settings: Settings) -> CorruptionOptions:
    """Return what it is asked for."""
    section, made = section_of(settings, "corruption", CorruptionSection), settings.corrupted
    ours = made.source == "generated"
    return CorruptionOptions(
        test_images=settings.test_images if section.images is None else section.images,
        names=section.names,
        seed=made.seed if ours else None,
        profile=made.profile if ours else None,
    )


def subsets(options: CorruptionOptions) -> Mapping[str, int | None]:
    """Return how many of the measured test images are corrupted."""
    return {"images": options.test_images}


def stored(settings: Settings) -> bool:
    """Tell whether corrupted images are read from disk, as published ones always are, or made when measured."""
    return settings.corrupted.source == "official" or section_of(settings, "corruption", CorruptionSection).stored


def components(options: CorruptionOptions) -> list[Use]:
    """Return the corruptions that this package makes the images with, stored or not; none of published images."""
    made = options.seed is not None and options.profile is not None
    return [CORRUPTIONS[name].implementation for name in options.names] if made else []


def implementation() -> Evaluate[CorruptionOptions, CorruptionFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.corruption.corruption import evaluate

    return evaluate


def scoring() -> Scoring[CorruptionOptions, CorruptionFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.corruption.corruption_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="corruption",
    summary="Error on corrupted test images, by corruption and severity",
    section=CorruptionSection,
    ways=frozenset({"stored"}),
    one="list of corruptions",
    options=CorruptionOptions,
    asked=asked,
    findings=CorruptionFindings,
    implementation=implementation,
    scoring=scoring,
    components=components,
    subsets=subsets,
    stored=True,
    workers=True,
    minutes=240,
)
