"""What the evaluation under attacks that deceive a router says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from ews.core.values import Count, Level, Positive, Section, StepSize
from ews.methods.registry import METHODS
from ews.pipeline.evaluate.adversarial_spec import AdversarialSection
from ews.pipeline.evaluate.spec import EvaluationSpec, Options, Settings, section_of
from ews.pipeline.study.cell import Cell

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluator

Weights = Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]


class AdaptiveSection(Section):
    """Attacks that also deceive the router of a dynamic network; radius, step and steps are those of adversarial."""

    weights: Weights = Field(
        default=(0.1, 1.0, 10.0),
        description="Of the router's cross-entropy beside that of the class: an attack for each.",
    )
    restarts: Count = Field(default=1, description="Uniform starts of each attack.")

    @field_validator("weights")
    @classmethod
    def _distinct(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(weights)) < len(weights):
            raise ValueError("a weight stands twice")
        return weights


class AdaptiveOptions(Options):
    """The threat and the attacks' effort."""

    epsilon: Level = Field(description="Largest change of a pixel, in [0, 1] or as 8/255.")
    step_size: StepSize = Field(description="In [0, 1] or as 2/255.")
    steps: Count = Field(description="Of each attack.")
    restarts: Count = Field(description="Of each attack; the worst counts, image by image.")
    weights: Weights = Field(description="Of the router's part, one attack each.")
    batch_size: Count = Field(description="Images at a time.")


def asked(settings: Settings) -> AdaptiveOptions:
    """Return what it is asked for."""
    section = section_of(settings, "adaptive", AdaptiveSection)
    other = section_of(settings, "adversarial", AdversarialSection)
    return AdaptiveOptions(
        test_images=settings.test_images,
        epsilon=other.epsilon,
        step_size=other.step_size,
        steps=other.steps,
        restarts=section.restarts,
        weights=section.weights,
        batch_size=other.autoattack.batch_size,
    )


def applies(cell: Cell) -> bool:
    """Tell whether a cell's network has a router."""
    return cell.architecture.dynamic is not None


ROUTED = " or ".join(spec.name for spec in METHODS.values() if spec.network is not None)


def implementation() -> Evaluator:
    """Return the evaluation."""
    from ews.pipeline.evaluate.adaptive import EVALUATOR

    return EVALUATOR


SPEC = EvaluationSpec(
    name="adaptive",
    summary="Robust error under attacks that deceive the router of a dynamic network too",
    section=AdaptiveSection,
    one="adversary",
    options=AdaptiveOptions,
    asked=asked,
    implementation=implementation,
    applies=applies,
    otherwise=f"deceives a router, and no cell of this study has one; a method with {ROUTED} has",
)
