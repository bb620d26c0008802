"""What the evaluation on corrupted images says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from ews.core.values import Section, Seed
from ews.corruptions import BENCHMARK, NAMES
from ews.pipeline.evaluate.spec import EvaluationSpec, Options, Settings, one_of, section_of

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluator

Corruption = Annotated[str, one_of(NAMES)]


class CorruptionSection(Section):
    """Which corruptions are evaluated."""

    # No part of a result, and so of no folder's name.
    stored: bool = Field(
        default=True,
        description="true: sets on disk, made once; false: images are corrupted while they are measured.",
    )
    names: Annotated[tuple[Corruption, ...], Field(min_length=1, strict=False)] = Field(
        default=BENCHMARK, description="Corruptions, all at 5 severities."
    )

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("a corruption stands twice")
        return names


class CorruptionOptions(Options):
    """Which corruptions, and how they are made; seed and profile are None of published images."""

    names: Annotated[tuple[Corruption, ...], Field(min_length=1, strict=False)] = Field(
        description="Corruptions, in the order of the results."
    )
    seed: Seed | None = Field(default=None, description="Of the corruptions.")
    profile: Literal["cifar", "tiny", "imagenet"] | None = Field(default=None, description="Whose severity constants.")


def asked(settings: Settings) -> CorruptionOptions:
    """Return what it is asked for."""
    section, made = section_of(settings, "corruption", CorruptionSection), settings.corrupted
    ours = made.source == "generated"
    return CorruptionOptions(
        test_images=settings.test_images,
        names=section.names,
        seed=made.seed if ours else None,
        profile=made.profile if ours else None,
    )


def stored(settings: Settings) -> bool:
    """Tell whether corrupted images are read from disk, as published ones always are, or made when measured."""
    return settings.corrupted.source == "official" or section_of(settings, "corruption", CorruptionSection).stored


def implementation() -> Evaluator:
    """Return the evaluation."""
    from ews.pipeline.evaluate.corruption import EVALUATOR

    return EVALUATOR


SPEC = EvaluationSpec(
    name="corruption",
    summary="Error on corrupted test images, by corruption and severity",
    section=CorruptionSection,
    ways=frozenset({"stored"}),
    one="list of corruptions",
    options=CorruptionOptions,
    asked=asked,
    implementation=implementation,
)
