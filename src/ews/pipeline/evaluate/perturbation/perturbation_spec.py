"""The evaluation `perturbation`: how often predictions flip along perturbation sequences of the test images."""

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

Perturbation = Literal[
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
]


class PerturbationSettings(Section):
    """Which perturbation sequences are evaluated."""

    names: Annotated[list[Perturbation], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Perturbations; mFP: over all ten."
    )


class PerturbationOptions(EvaluationOptions):
    """Which perturbations, and how they are made."""

    names: Annotated[tuple[Perturbation, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Perturbations, in the order of the results."
    )
    profile: Profile = Field(description="Whose constants and numbers of frames.")
    seed: int = Field(description="Of noise and snow; any integer.")


class Flips(Document):
    """A row: flip probability in percent; its frames, n sequences of them, are compared with the first or previous."""

    perturbation: str
    frames: int
    compared: Literal["first", "previous"]
    flip_probability: Percent
    n: Images


class PerturbationFindings(Findings):
    """A row per perturbation, in the order of the options, of the last epoch's weights."""

    rows: tuple[Flips, ...]


def _asked(request: Request) -> PerturbationOptions:
    settings = request.settings["perturbation"]
    assert isinstance(settings, PerturbationSettings)
    return PerturbationOptions(
        test_images=request.test_images, names=tuple(settings.names), profile=request.profile, seed=request.seed
    )


def _implementation() -> Evaluate[PerturbationOptions, PerturbationFindings]:
    from ews.pipeline.evaluate.perturbation.perturbation import evaluate

    return evaluate


def _scoring() -> Scoring[PerturbationOptions, PerturbationFindings]:
    from ews.pipeline.evaluate.perturbation.perturbation_scores import SCORING

    return SCORING


PERTURBATION = EvaluationSpec(
    name="perturbation",
    summary="how often predictions flip along sequences of the test images (Hendrycks and Dietterich 2019)",
    settings=PerturbationSettings,
    options=PerturbationOptions,
    findings=PerturbationFindings,
    asked=_asked,
    implementation=_implementation,
    scoring=_scoring,
    workers=True,
    minutes=240,
)
