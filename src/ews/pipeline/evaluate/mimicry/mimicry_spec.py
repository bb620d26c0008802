"""What the evaluation of corruptions that factors on the weights mimic says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.fingerprint import Use
from ews.core.values import Count, Section, Seed
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.pipeline.evaluate.corruption.corruption_spec import Corruption, CorruptionSection
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

Severity = Annotated[int, Field(ge=1, le=5)]
Halves = Annotated[int, Field(ge=2)]
Share = Annotated[float, Field(le=100)]
"""Percent of a change that is explained; below 0 where more is left than there was."""
NonNegative = Annotated[float, Field(ge=0)]


class MimicrySection(Section):
    """How factors on the weights are fitted to corruptions: those of evaluation.corruption.names."""

    severity: Severity = Field(default=3, description="Of the corruptions.")
    images: Halves = Field(
        default=200,
        description="A stratified choice of that many of the measured test images; factors are fitted to half of them.",
    )
    steps: Count = Field(default=20, description="Of L-BFGS, for each corruption; each is about 1.25 training steps.")


class MimicryOptions(Options):
    """Which corruptions are mimicked, and how."""

    names: Annotated[tuple[Corruption, ...], Field(min_length=1, strict=False), AfterValidator(distinct)] = Field(
        description="Corruptions, in the order of the results."
    )
    seed: Seed = Field(description="Of the corruptions.")
    profile: Literal["cifar", "tiny", "imagenet"] = Field(description="Whose severity constants.")
    severity: Severity = Field(description="Of the corruptions.")
    images: Halves = Field(description="That many of the test images; factors are fitted to half of them.")
    steps: Count = Field(description="Of L-BFGS.")


class Explained(Document):
    """How much of what a corruption does to the logits is mimicked: percent of the sum of squared changes.

    Attributes:
        fitted: by the factors, on the images that they were fitted to.
        held_out: by the same factors on the other images.
        constant: on these by adding to the logits their mean change on the fitted images: what needs no factors.
        random: on these by factors as far from 1 as the fitted ones, drawn as DAMP draws them.
    """

    fitted: Share
    held_out: Share
    constant: Share
    random: Share


class Losses(Document):
    """Mean cross-entropy in nats: of clean images, of corrupted ones, of clean ones at the multiplied weights."""

    clean: NonNegative
    corrupted: NonNegative
    mimicked: NonNegative


class Mimicked(Document):
    """A row: one corruption; all but ``explained.fitted`` and ``spread`` on the images that were not fitted.

    Attributes:
        corruption: its name.
        error: on corrupted images, percent.
        explained: None where the corruption changes no logit of either half.
        spread: root mean square of the factors less 1.
        losses: with the labels.
        agreement: on how many images, in percent, the multiplied weights say of the clean image what the weights say of
            the corrupted one.
        unchanged: on how many the weights say the same of both.
    """

    corruption: str
    error: Percent
    explained: Explained | None
    spread: NonNegative
    losses: Losses
    agreement: Percent
    unchanged: Percent


class MimicryFindings(Findings):
    """A row per corruption, of the last epoch's weights; how many images were fitted, and how many held out."""

    rows: tuple[Mimicked, ...]
    fitted: Images
    held_out: Images
    factors: Images


def asked(settings: Settings) -> MimicryOptions:
    """Return what it is asked for."""
    section, made = section_of(settings, "mimicry", MimicrySection), settings.corrupted
    return MimicryOptions(
        test_images=settings.test_images,
        names=section_of(settings, "corruption", CorruptionSection).names,
        seed=made.seed,
        profile=made.profile,
        **dict(section),
    )


def subsets(options: MimicryOptions) -> Mapping[str, int | None]:
    """Return how many images are chosen."""
    return {"images": options.images}


def components(options: MimicryOptions) -> list[Use]:
    """Return the corruptions that the images are made with."""
    return [CORRUPTIONS[name].implementation for name in options.names]


def implementation() -> Evaluate[MimicryOptions, MimicryFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.mimicry.mimicry import evaluate

    return evaluate


def scoring() -> Scoring[MimicryOptions, MimicryFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.mimicry.mimicry_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="mimicry",
    summary="Corruptions mimicked by factors on the weights, DAMP's first claim",
    section=MimicrySection,
    one="way to mimic",
    options=MimicryOptions,
    asked=asked,
    subsets=subsets,
    findings=MimicryFindings,
    implementation=implementation,
    scoring=scoring,
    components=components,
    figure=True,
)
