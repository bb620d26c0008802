"""What the evaluation on validation images says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.fingerprint import Use
from ews.core.values import Count, Section, Seed, one_of
from ews.corruptions import EXTRA
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

HeldOut = Annotated[str, one_of(EXTRA)]
Held = Annotated[tuple[HeldOut, ...], Field(min_length=1, strict=False), AfterValidator(distinct)]


class ValidationSection(Section):
    """On how many validation images, and how they are corrupted."""

    images: Count | None = Field(default=None, description="A stratified choice of the validation images; null: all.")
    names: Held = Field(
        default=EXTRA, description="Corruptions, all at 5 severities: of those held out from the benchmark's 15."
    )


class ValidationOptions(Options):
    """On how many validation images, and how they are corrupted; test images play no part."""

    images: Count | None = Field(default=None, description="A stratified choice of the validation images; null: all.")
    names: Held = Field(description="Held-out corruptions, in the order of the results.")
    seed: Seed = Field(description="Of the corruptions.")
    profile: Literal["cifar", "tiny", "imagenet"] = Field(description="Whose severity constants.")


class HeldOutError(Document):
    """A row: error in percent of the last epoch's weights under one corruption, mean over its severities."""

    corruption: str
    error: Percent


class ValidationFindings(Findings):
    """Errors of the last epoch's weights on the validation images, and on how many.

    Attributes:
        clean: on the images as they are.
        corrupted: mean over the corruptions, each the mean over its severities.
        rows: by corruption, in the order of the options.
        n: different images.
    """

    clean: Percent
    corrupted: Percent
    rows: Annotated[tuple[HeldOutError, ...], Field(min_length=1)]
    n: Images


def asked(settings: Settings) -> ValidationOptions:
    """Return what it is asked for."""
    section, made = section_of(settings, "validation", ValidationSection), settings.corrupted
    return ValidationOptions(images=section.images, names=section.names, seed=made.seed, profile=made.profile)


def subsets(options: ValidationOptions) -> Mapping[str, int | None]:
    """Return how many of the validation images are measured on."""
    return {"images": options.images}


def components(options: ValidationOptions) -> Sequence[Use]:
    """Return the corruptions that the images are made with."""
    return [CORRUPTIONS[name].implementation for name in options.names]


def implementation() -> Evaluate[ValidationOptions, ValidationFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.validation.validation import evaluate

    return evaluate


def scoring() -> Scoring[ValidationOptions, ValidationFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.validation.validation_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="validation",
    summary="Error on validation images, clean and under held-out corruptions",
    section=ValidationSection,
    one="choice of validation images",
    options=ValidationOptions,
    asked=asked,
    findings=ValidationFindings,
    implementation=implementation,
    scoring=scoring,
    components=components,
    subsets=subsets,
    of_validation=True,
    workers=True,
)
