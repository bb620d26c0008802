"""What the evaluation under attacks that deceive a router says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator

from ews.attacks.norms import Norm, of_norm
from ews.core.documents import Document
from ews.core.machine_types import Hardware
from ews.core.values import Count, Distance, Positive, Section, StepLength
from ews.methods.method_registry import METHODS
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialSection, Again, ErrorOn
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
from ews.pipeline.study.cell import Cell

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Weights = Annotated[tuple[Positive, ...], Field(min_length=1, strict=False), AfterValidator(distinct)]


class AdaptiveSection(Section):
    """Attacks that also deceive the router of a dynamic network; norm, radius and steps are those of adversarial."""

    weights: Weights = Field(
        default=(0.1, 1.0, 10.0),
        description="Of the router's cross-entropy beside that of the class: an attack for each.",
    )
    restarts: Count = Field(default=1, description="Uniform starts of each attack.")


class AdaptiveOptions(Options):
    """The threat and the attacks' effort."""

    norm: Norm = Field(default="Linf", description="Linf, the maximum norm (default), or L2.")
    epsilon: Distance = Field(description="Radius in the norm: a number, or as 8/255.")
    step_size: StepLength = Field(description="In the norm: a number, or as 2/255.")
    steps: Count = Field(description="Of each attack.")
    restarts: Count = Field(description="Of each attack; the worst counts, image by image.")
    weights: Weights = Field(description="Of the router's part, one attack each.")
    batch_size: Count = Field(description="Images at a time.")

    _of_norm = field_validator("epsilon", "step_size")(of_norm)


class Weight(Document):
    """The attack with one weight: the error after it and all before it, and how many more images it fooled."""

    weight: float
    error: Percent
    fooled: Annotated[int, Field(ge=0)]


class Adapted(ErrorOn):
    """The worst case over all attacks, image by image."""

    weights: tuple[Weight, ...]
    again: Again


class Share(Document):
    """A share of images in percent, and how many there were."""

    percent: Percent
    n: Images


class Router(Document):
    """Its mistakes: clean images taken for adversarial ones; attacked ones taken for clean, None without any."""

    suspected: Share
    trusted: Share | None


class DeceivedWeights(Document):
    """One set of weights: errors without an attack, under PGD and under all attacks, and the router's mistakes."""

    clean: ErrorOn
    pgd: ErrorOn
    adaptive: Adapted
    router: Router


class AdaptiveFindings(Findings):
    """The last epoch's weights and those that validation images selected, if any; what the attacks' draws came from."""

    last: DeceivedWeights
    best: DeceivedWeights | None = None
    seed: int
    hardware: Hardware
    versions: dict[str, str]


def asked(settings: Settings) -> AdaptiveOptions:
    """Return what it is asked for."""
    section = section_of(settings, "adaptive", AdaptiveSection)
    other = section_of(settings, "adversarial", AdversarialSection)
    return AdaptiveOptions(
        test_images=settings.test_images,
        norm=other.norm,
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


def implementation() -> Evaluate[AdaptiveOptions, AdaptiveFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.adaptive.adaptive import evaluate

    return evaluate


def scoring() -> Scoring[AdaptiveOptions, AdaptiveFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.adaptive.adaptive_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="adaptive",
    summary="Robust error under attacks that deceive the router of a dynamic network too",
    section=AdaptiveSection,
    one="adversary",
    options=AdaptiveOptions,
    asked=asked,
    attacks="adversarial",
    findings=AdaptiveFindings,
    implementation=implementation,
    scoring=scoring,
    # What is finished of an evaluation that is cut off here is kept.
    minutes=1440,
    applies=applies,
    otherwise=f"deceives a router, and no cell of this study has one; a method with {ROUTED} has",
)
