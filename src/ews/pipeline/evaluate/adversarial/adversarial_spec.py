"""The evaluation `adversarial`: the error under PGD with restarts and under AutoAttack, in the maximum norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ews.core.documents import Document
from ews.core.machine_types import Hardware
from ews.core.values import Count, Level, Section, StepSize
from ews.pipeline.evaluate.spec import EvaluationOptions, EvaluationSpec, Findings, Images, Percent, Request

if TYPE_CHECKING:
    from ews.pipeline.evaluate.base import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Version = Literal["standard", "plus"]


class AutoAttackSettings(Section):
    """How AutoAttack is run."""

    n_examples: Count | None = Field(description="Attack a stratified choice of that many test images; null: all.")
    batch_size: Count = Field(description="Images at a time, of PGD too; AutoAttack's draws depend on it.")
    version: Version = Field(description="standard: 4 attacks; plus: 6 with more restarts.")


class AdversarialSettings(Section):
    """Attacks in the maximum norm."""

    epsilon: Level = Field(description="Largest change of a pixel: in [0, 1], or as 8/255.")
    step_size: StepSize = Field(description="Step of PGD: above 0, at most 1, or as 2/255.")
    steps: Count = Field(description="Steps of PGD; names the column pgd-<steps> error.")
    restarts: Count = Field(description="Uniform starts of PGD; an image counts as wrong if one of them fools it.")
    autoattack: AutoAttackSettings


class AdversarialOptions(EvaluationOptions):
    """The threat and the attacks' effort."""

    epsilon: Level = Field(description="Largest change of a pixel, in [0, 1] or as 8/255.")
    step_size: StepSize = Field(description="Of PGD, above 0, at most 1, or as 2/255.")
    steps: Count = Field(description="Of PGD.")
    restarts: Count = Field(description="Of PGD; the worst counts, image by image.")
    version: Version = Field(description="Of AutoAttack.")
    batch_size: Count = Field(description="Images at a time; part of AutoAttack's result.")
    n_examples: Count | None = Field(
        default=None, description="Attack that many of the test images by AutoAttack; null: all."
    )


class ErrorOn(Document):
    """An error in percent, and the number of images that it is of."""

    error: Percent
    n: Images


class Again(Document):
    """The adversarial images classified once more: error, how many changed sides, distances and pixels that they reach."""

    error: Percent
    changed: int
    distance: float
    lowest: float
    highest: float


class ByPGD(ErrorOn):
    """The error under PGD."""

    again: Again


class Attack(Document):
    """An attack of the ensemble: the error after it and all before it, and how many images it fooled that these did not."""

    attack: str
    error: Percent
    fooled: Annotated[int, Field(ge=0)]


class ByAutoAttack(ErrorOn):
    """The error under AutoAttack, and attack by attack."""

    attacks: Annotated[tuple[Attack, ...], Field(min_length=1)]
    again: Again

    @property
    def before(self) -> ErrorOn:
        """The error of its images before the first attack: after it, less those that it fooled."""
        first = self.attacks[0]
        wrong = round(first.error * self.n / 100) - first.fooled
        return ErrorOn(error=100 * wrong / self.n, n=self.n)


class Radius(Document):
    """The error under PGD within a larger radius."""

    epsilon: float
    error: Percent


class Sweep(Document):
    """The error on a few images followed to radii at which no network can be right."""

    n: Images
    errors: tuple[Radius, ...]


class AttackedWeights(Document):
    """One set of weights: errors without an attack and under each, and signs of masked gradients, in sentences."""

    clean: ErrorOn
    pgd: ByPGD
    autoattack: ByAutoAttack
    sweep: Sweep
    warnings: tuple[str, ...]


class AdversarialFindings(Findings):
    """The last epoch's weights and those that validation images selected, if any; what the attacks' draws came from."""

    last: AttackedWeights
    best: AttackedWeights | None = None
    seed: int
    shard: int
    hardware: Hardware
    versions: dict[str, str]


def _asked(request: Request) -> AdversarialOptions:
    settings = request.settings["adversarial"]
    assert isinstance(settings, AdversarialSettings)
    return AdversarialOptions(
        test_images=request.test_images,
        epsilon=settings.epsilon,
        step_size=settings.step_size,
        steps=settings.steps,
        restarts=settings.restarts,
        version=settings.autoattack.version,
        batch_size=settings.autoattack.batch_size,
        n_examples=settings.autoattack.n_examples,
    )


def _implementation() -> Evaluate[AdversarialOptions, AdversarialFindings]:
    from ews.pipeline.evaluate.adversarial.adversarial import evaluate

    return evaluate


def _scoring() -> Scoring[AdversarialOptions, AdversarialFindings]:
    from ews.pipeline.evaluate.adversarial.adversarial_scores import SCORING

    return SCORING


ADVERSARIAL = EvaluationSpec(
    name="adversarial",
    summary="error under PGD with restarts and under AutoAttack (Croce and Hein 2020)",
    settings=AdversarialSettings,
    options=AdversarialOptions,
    findings=AdversarialFindings,
    asked=_asked,
    implementation=_implementation,
    scoring=_scoring,
    # What is finished of an evaluation that is cut off here is kept.
    minutes=1440,
)
