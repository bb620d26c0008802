"""What the evaluation under attack says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from ews.attacks.norms import Norm, of_norm
from ews.core.documents import Document
from ews.core.machine_types import Hardware
from ews.core.values import Count, Distance, Section, StepLength
from ews.pipeline.evaluate.evaluation_specs import (
    EvaluationSpec,
    Findings,
    Images,
    Options,
    Percent,
    Settings,
    section_of,
)

if TYPE_CHECKING:
    from ews.pipeline.evaluate.evaluation import Evaluate
    from ews.pipeline.evaluate.scores import Scoring

Version = Literal["standard", "plus", "rand"]


class AutoAttackSection(Section):
    """How AutoAttack is run."""

    n_examples: Count | None = Field(
        default=None, description="Attack a stratified choice of that many test images; null: all."
    )
    batch_size: Count = Field(default=250, description="Images at a time, of PGD too; AutoAttack's draws depend on it.")
    version: Version = Field(
        default="standard",
        description="standard: 4 attacks; plus: 6 with more restarts; rand: 2, for networks that are random when "
        "tested.",
    )
    eot: Count = Field(
        default=20, description="Of rand: passes that a gradient is the mean of (expectation over transformation)."
    )


class AdversarialSection(Section):
    """Attacks, all in one norm."""

    norm: Norm = Field(default="Linf", description="Linf: the maximum norm; L2: the Euclidean one.")
    epsilon: Distance = Field(
        default=8 / 255, description="Radius: in [0, 1] or as 8/255, a pixel's change; in L2 an image's, usual: 0.5."
    )
    step_size: StepLength = Field(
        default=2 / 255, description="Step of PGD, as epsilon: above 0; in L2 usual: a quarter of epsilon or less."
    )
    steps: Count = Field(default=20, description="Steps of PGD; names the column pgd-<steps> error.")
    restarts: Count = Field(
        default=1, description="Uniform starts of PGD; an image counts as wrong if one of them fools it."
    )
    autoattack: AutoAttackSection = Field(default=AutoAttackSection(), description="AutoAttack, after PGD.")

    _of_norm = field_validator("epsilon", "step_size")(of_norm)


class AdversarialOptions(Options):
    """The threat and the attacks' effort."""

    norm: Norm = Field(default="Linf", description="Linf, the maximum norm (default), or L2.")
    epsilon: Distance = Field(description="Radius in the norm: a number, or as 8/255.")
    step_size: StepLength = Field(description="Of PGD, in the norm: a number, or as 2/255.")
    steps: Count = Field(description="Of PGD.")
    restarts: Count = Field(description="Of PGD; the worst counts, image by image.")
    n_examples: Count | None = Field(
        default=None, description="Attack that many of the test images by AutoAttack; default: all."
    )
    batch_size: Count = Field(description="Images at a time; part of AutoAttack's result.")
    version: Version = Field(description="Of AutoAttack.")
    eot: Count = Field(default=20, description="Of AutoAttack's version rand: passes for a gradient (default: 20).")

    _of_norm = field_validator("epsilon", "step_size")(of_norm)


class ErrorOn(Document):
    """An error in percent, and the number of images that it is of."""

    error: Percent
    n: Images


class Again(Document):
    """The adversarial images classified once more: how many changed sides, distances and pixels that they reach."""

    error: Percent
    changed: int
    distance: float
    lowest: float
    highest: float


class ByPGD(ErrorOn):
    """The error under PGD."""

    again: Again


class Attack(Document):
    """An attack of the ensemble: the error after it and all before it, and how many more images it fooled."""

    attack: str
    error: Percent
    fooled: Annotated[int, Field(ge=0)]


class ByAutoAttack(ErrorOn):
    """The error under AutoAttack, attack by attack, and the attacks that are not defined for so few classes."""

    attacks: Annotated[tuple[Attack, ...], Field(min_length=1)]
    left_out: tuple[str, ...] = ()
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


def asked(settings: Settings) -> AdversarialOptions:
    """Return what it is asked for."""
    section = section_of(settings, "adversarial", AdversarialSection)
    return AdversarialOptions(
        test_images=settings.test_images,
        norm=section.norm,
        epsilon=section.epsilon,
        step_size=section.step_size,
        steps=section.steps,
        restarts=section.restarts,
        **dict(section.autoattack),
    )


def subsets(options: AdversarialOptions) -> Mapping[str, int | None]:
    """Return on how many images AutoAttack is run."""
    return {"autoattack.n_examples": options.n_examples}


def implementation() -> Evaluate[AdversarialOptions, AdversarialFindings]:
    """Return what measures."""
    from ews.pipeline.evaluate.adversarial.adversarial import evaluate

    return evaluate


def scoring() -> Scoring[AdversarialOptions, AdversarialFindings]:
    """Return what makes numbers of tables."""
    from ews.pipeline.evaluate.adversarial.adversarial_scores import SCORING

    return SCORING


SPEC = EvaluationSpec(
    name="adversarial",
    summary="Robust error: under PGD and AutoAttack, in the maximum norm or the Euclidean one",
    section=AdversarialSection,
    one="adversary",
    options=AdversarialOptions,
    asked=asked,
    subsets=subsets,
    attacks="adversarial",
    findings=AdversarialFindings,
    implementation=implementation,
    scoring=scoring,
    # What is finished of an evaluation that is cut off here is kept.
    minutes=1440,
)
