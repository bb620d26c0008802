"""The evaluation `adaptive`: the error of a network with a router under attacks that also deceive the router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from ews.core.documents import Document
from ews.core.machine_types import Hardware
from ews.core.values import Count, Level, Positive, Section, StepSize
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialSettings, Again, ErrorOn
from ews.pipeline.evaluate.spec import EvaluationOptions, EvaluationSpec, Findings, Images, Percent, Request, distinct

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluate
    from ews.pipeline.evaluate.scores import Scoring


class AdaptiveSettings(Section):
    """Attacks that also deceive the router of a dynamic network; radius, step and steps are those of adversarial."""

    weights: Annotated[list[Positive], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Of the router's cross-entropy beside that of the class: an attack for each."
    )
    restarts: Count = Field(description="Uniform starts of each attack.")


class AdaptiveOptions(EvaluationOptions):
    """The threat and the attacks' effort."""

    epsilon: Level = Field(description="Largest change of a pixel, in [0, 1] or as 8/255.")
    step_size: StepSize = Field(description="Above 0, at most 1, or as 2/255.")
    steps: Count = Field(description="Of each attack.")
    restarts: Count = Field(description="Of each attack; the worst counts, image by image.")
    weights: Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Of the router's part, one attack each."
    )
    batch_size: Count = Field(description="Images at a time.")


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


def _asked(request: Request) -> AdaptiveOptions:
    threat, settings = request.settings["adversarial"], request.settings["adaptive"]
    assert isinstance(threat, AdversarialSettings) and isinstance(settings, AdaptiveSettings)
    return AdaptiveOptions(
        test_images=request.test_images,
        epsilon=threat.epsilon,
        step_size=threat.step_size,
        steps=threat.steps,
        restarts=settings.restarts,
        weights=tuple(settings.weights),
        batch_size=threat.autoattack.batch_size,
    )


def _implementation() -> Evaluate[AdaptiveOptions, AdaptiveFindings]:
    from ews.pipeline.evaluate.adaptive.adaptive import evaluate

    return evaluate


def _scoring() -> Scoring[AdaptiveOptions, AdaptiveFindings]:
    from ews.pipeline.evaluate.adaptive.adaptive_scores import SCORING

    return SCORING


ADAPTIVE = EvaluationSpec(
    name="adaptive",
    summary="error of a network with a router under attacks that also deceive the router",
    settings=AdaptiveSettings,
    options=AdaptiveOptions,
    findings=AdaptiveFindings,
    asked=_asked,
    implementation=_implementation,
    scoring=_scoring,
    router=True,
    # What is finished of an evaluation that is cut off here is kept.
    minutes=1440,
)
