"""The evaluation `corruption`: the error on corrupted copies of the test images, per corruption and severity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.values import Section
from ews.pipeline.evaluate.spec import (
    EvaluationOptions,
    EvaluationSpec,
    Findings,
    Images,
    Percent,
    Profile,
    Request,
    distinct,
)

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Corruption = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "gaussian_blur",
    "snow",
    "frost",
    "fog",
    "spatter",
    "brightness",
    "contrast",
    "saturate",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
]
SEVERITIES = (1, 2, 3, 4, 5)


class CorruptionSettings(Section):
    """Which corruptions are evaluated."""

    names: Annotated[list[Corruption], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Corruptions, all at 5 severities."
    )
    # No part of a result, and so of no folder's name.
    stored: bool = Field(
        default=True,
        description="true: sets on disk, made once; false: images are corrupted while they are measured.",
    )


class CorruptionOptions(EvaluationOptions):
    """Which corruptions, and how they are made; without seed and profile: those of the stored sets, whatever it is."""

    names: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Corruptions, in the order of the results."
    )
    seed: int | None = Field(default=None, description="Of the corruptions; stored sets must have been made with it.")
    profile: Profile | None = Field(default=None, description="Whose severity constants; likewise.")


class CorruptionError(Document):
    """A row: error in percent of the last epoch's weights on one corruption at one severity."""

    corruption: str
    severity: Literal[1, 2, 3, 4, 5]
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


def _asked(request: Request) -> CorruptionOptions:
    settings = request.settings["corruption"]
    assert isinstance(settings, CorruptionSettings)
    ours = not request.official
    return CorruptionOptions(
        test_images=request.test_images,
        names=tuple(settings.names),
        seed=request.seed if ours else None,
        profile=request.profile if ours else None,
    )


def _components(options: CorruptionOptions) -> list[tuple[str, str]]:
    # With seed and profile the images are made by this package, and its code counts, stored or not.
    made = options.seed is not None and options.profile is not None
    return [("ews.corruptions", name) for name in sorted(options.names)] if made else []


def _implementation() -> Evaluate[CorruptionOptions, CorruptionFindings]:
    from ews.pipeline.evaluate.corruption.corruption import evaluate

    return evaluate


def _scoring() -> Scoring[CorruptionOptions, CorruptionFindings]:
    from ews.pipeline.evaluate.corruption.corruption_scores import SCORING

    return SCORING


CORRUPTION = EvaluationSpec(
    name="corruption",
    summary="error on corrupted copies of the test images (Hendrycks and Dietterich 2019)",
    settings=CorruptionSettings,
    options=CorruptionOptions,
    findings=CorruptionFindings,
    asked=_asked,
    implementation=_implementation,
    scoring=_scoring,
    components=_components,
    stored=True,
    workers=True,
    minutes=240,
)
