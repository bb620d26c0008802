"""What the evaluation under attack says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ews.core.values import Count, Level, Section, StepSize
from ews.pipeline.evaluate.spec import EvaluationSpec, Options, Settings, section_of

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluator


class AutoAttackSection(Section):
    """How AutoAttack is run."""

    n_examples: Count | None = Field(
        default=None, description="Attack a stratified choice of that many test images; null: all."
    )
    batch_size: Count = Field(default=250, description="Images at a time, of PGD too; AutoAttack's draws depend on it.")
    version: Literal["standard", "plus"] = Field(
        default="standard", description="standard: 4 attacks; plus: 6 with more restarts."
    )


class AdversarialSection(Section):
    """Attacks in the maximum norm."""

    epsilon: Level = Field(default=8 / 255, description="Largest change of a pixel: in [0, 1], or as 8/255.")
    step_size: StepSize = Field(default=2 / 255, description="Step of PGD: above 0, at most 1, or as 2/255.")
    steps: Count = Field(default=20, description="Steps of PGD; names the column pgd-<steps> error.")
    restarts: Count = Field(
        default=1, description="Uniform starts of PGD; an image counts as wrong if one of them fools it."
    )
    autoattack: AutoAttackSection = Field(default=AutoAttackSection(), description="AutoAttack, after PGD.")


class AdversarialOptions(Options):
    """The threat and the attacks' effort."""

    epsilon: Level = Field(description="Largest change of a pixel, in [0, 1] or as 8/255.")
    step_size: StepSize = Field(description="Of PGD, in [0, 1] or as 2/255.")
    steps: Count = Field(description="Of PGD.")
    restarts: Count = Field(description="Of PGD; the worst counts, image by image.")
    n_examples: Count | None = Field(
        default=None, description="Attack that many of the test images by AutoAttack; default: all."
    )
    batch_size: Count = Field(description="Images at a time; part of AutoAttack's result.")
    version: Literal["standard", "plus"] = Field(description="Of AutoAttack.")


def asked(settings: Settings) -> AdversarialOptions:
    """Return what it is asked for."""
    section = section_of(settings, "adversarial", AdversarialSection)
    return AdversarialOptions(
        test_images=settings.test_images,
        epsilon=section.epsilon,
        step_size=section.step_size,
        steps=section.steps,
        restarts=section.restarts,
        **dict(section.autoattack),
    )


def subsets(options: AdversarialOptions) -> Mapping[str, int | None]:
    """Return on how many images AutoAttack is run."""
    return {"autoattack.n_examples": options.n_examples}


def implementation() -> Evaluator:
    """Return the evaluation."""
    from ews.pipeline.evaluate.adversarial import EVALUATOR

    return EVALUATOR


SPEC = EvaluationSpec(
    name="adversarial",
    summary="Robust error: under PGD and AutoAttack in the maximum norm",
    section=AdversarialSection,
    one="adversary",
    options=AdversarialOptions,
    asked=asked,
    subsets=subsets,
    implementation=implementation,
)
