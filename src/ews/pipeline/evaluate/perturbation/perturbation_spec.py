"""What the evaluation on perturbation sequences says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.values import Section, Seed, one_of
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

# The ten that mFP and mFR are defined over, in their order: `ews.perturbations.NAMES`, which planning does not import,
# since it brings SciPy. A test holds the two together.
NAMES = (
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
)
Perturbation = Annotated[str, one_of(NAMES)]


class PerturbationSection(Section):
    """Which perturbation sequences are evaluated."""

    names: Annotated[tuple[Perturbation, ...], Field(min_length=1, strict=False), AfterValidator(distinct)] = Field(
        default=NAMES, description="Perturbations; mFP: over all ten."
    )


class PerturbationOptions(Options):
    """Which perturbations, and how they are made."""

    names: Annotated[tuple[Perturbation, ...], Field(min_length=1, strict=False), AfterValidator(distinct)] = Field(
        description="Perturbations, in the order of the results."
    )
    seed: Seed = Field(description="Of noise and snow.")
    profile: Literal["cifar", "tiny", "imagenet"] = Field(description="Whose constants and numbers of frames.")


class Flips(Document):
    """A row: flip probability in percent; its frames, n sequences of them, are compared with the first or previous."""

    perturbation: str
    frames: int
    compared: Literal["first", "previous"]
    flip_probability: Percent
    n: Images


class PerturbationFindings(Findings):
    """A row per perturbation, in the order of the options, of the last epoch's weights.

    ``imagenet``: whether the classes are ImageNet's own 1,000, so that AlexNet's published flips are of them.
    """

    imagenet: bool
    rows: tuple[Flips, ...]


def asked(settings: Settings) -> PerturbationOptions:
    """Return what it is asked for."""
    section, made = section_of(settings, "perturbation", PerturbationSection), settings.corrupted
    return PerturbationOptions(
        test_images=settings.test_images, names=section.names, seed=made.seed, profile=made.profile
    )


def implementation() -> Evaluate[PerturbationOptions, PerturbationFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.perturbation.perturbation import evaluate

    return evaluate


def scoring() -> Scoring[PerturbationOptions, PerturbationFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.perturbation.perturbation_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="perturbation",
    summary="How often predictions flip along sequences of slightly changed images",
    section=PerturbationSection,
    one="list of perturbations",
    options=PerturbationOptions,
    asked=asked,
    findings=PerturbationFindings,
    implementation=implementation,
    scoring=scoring,
    workers=True,
    minutes=240,
)
