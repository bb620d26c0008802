"""The types of the parameters of methods, `methods` in params.yaml: one section a component."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ews.core.values import (
    Count,
    Decay,
    Fraction,
    Level,
    Name,
    NonNegative,
    Positive,
    Section,
    Seed,
    StepSize,
)


class Dropout(Section):
    """Channel dropout, the paper's baseline (Tables 1 and 2; place and rate are a choice)."""

    rate: float = Field(ge=0, lt=1, description="Probability of dropping a channel.")
    place: Literal["hidden", "block"] = Field(
        description="hidden: the channels that EWS may drop; block: the output of each residual block."
    )


class Ews(Section):
    """Enhancing weak subnets (Guo et al. 2022, Algorithm 1)."""

    width: Fraction = Field(description="Subnet width rho: share of paths and channels that is kept.")
    rounding: Literal["ceil", "expected"] = Field(description="How rho n becomes a number of paths and channels.")
    weight: NonNegative = Field(description="Weight lambda of the distillation term.")
    distillation: Literal["kl", "ce"] = Field(description="KL(full||sub), or cross-entropy on the labels.")
    reduction: Literal["batchmean", "mean"] = Field(description="KL averaged over examples, or also over classes.")
    batch_fraction: Fraction = Field(description="Share of the batch on which the subnet is distilled.")
    interval: Count = Field(description="Iterations between controller updates, K.")
    samples: Count = Field(description="Subnets per controller update, C.")
    search: Literal["learned", "random", "l1_norm", "gradient", "bandit"] = Field(description="Search strategy.")
    hidden: Count = Field(description="Hidden size of the controller's LSTM.")
    learning_rate: Positive = Field(description="Controller's learning rate (Adam).")
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        description="Controller's Adam betas."
    )
    entropy_bonus: NonNegative = Field(description="Weight of the policy's entropy.")
    baseline_decay: Decay = Field(description="Decay of the moving average of the raw reward.")
    gradient_clip: Positive = Field(description="Largest norm of the controller's gradient.")


class AdversarialTraining(Section):
    """What the objectives on adversarial examples share."""

    epsilon: Level = Field(description="Largest change of a pixel: in [0, 1], or as 8/255.")
    step_size: StepSize = Field(description="Step of the training's attack: above 0, at most 1, or as 2/255.")
    steps: Count = Field(description="Steps of the training's attack; each costs a forward and a backward pass.")
    attack_mode: Literal["train", "eval"] = Field(
        description="Whether the attacked network normalises by the batch or by the running statistics."
    )
    validation_steps: Count = Field(description="Steps of the PGD that selects the best epoch on validation images.")
    validation_step_size: StepSize = Field(description="Step of that PGD.")
    validation_images: Count | None = Field(description="On how many validation images, stratified; null: all.")


class At(AdversarialTraining):
    """Adversarial training (Madry et al. 2018): cross-entropy on PGD's examples."""


class Trades(AdversarialTraining):
    """TRADES (Zhang et al. 2019): clean cross-entropy plus beta KL(clean||adversarial)."""

    beta: NonNegative = Field(description="Weight of the divergence.")


class AwpOf(Section):
    """Adversarial weight perturbation (Wu et al. 2020) of one objective."""

    gamma: NonNegative = Field(description="Radius of the perturbation, a share of each layer's norm.")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="First epochs without perturbation.")


class ByObjective(Section):
    """Parameters that depend on the objective that a component stands beside: a key for each."""


class Awp(ByObjective):
    """Adversarial weight perturbation, by objective."""

    at: AwpOf
    trades: AwpOf
    awnet: AwpOf


class Teacher(Section):
    """A cell whose trained network another one learns from: of the same dataset, under the same overrides."""

    method: Annotated[str, Field(min_length=1)] = Field(description="Composition, e.g. at; it is trained first.")
    architecture: Name | None = Field(default=None, description="null: the student's.")
    augmentation: Name = Field(default="standard", description="Its training augmentation.")
    seed: Seed | None = Field(default=None, description="null: the student's.")
    weights: Literal["last", "best"] = Field(description="Of the last epoch, or of the best on validation images.")


class Damp(Section):
    """Data augmentation via multiplicative perturbations of the weights (Trinh et al. 2024)."""

    sigma: NonNegative = Field(description="Standard deviation of the weights' factors, whose mean is 1.")
    sub_batches: Count = Field(description="Parts of a batch, each with its own draw, M; at most the batch's images.")
    gradient: Literal["perturbed", "objective"] = Field(
        description="perturbed: with respect to the noisy weights (authors' code); objective: times the factors."
    )
    form: Literal["auto", "sequential", "vmapped", "grouped"] = Field(
        description="How layers with M weights are computed; same values; auto: the fastest on the device."
    )


class Sharpness(Section):
    """What SAM and ASAM share."""

    rho: Positive = Field(description="Length of the step along the gradient.")
    sub_batches: Count = Field(description="Parts of a batch, each with its own step, M; 1: the whole batch.")


class Sam(Sharpness):
    """Sharpness-aware minimisation (Foret et al. 2021)."""


class Asam(Sharpness):
    """Adaptive sharpness-aware minimisation (Kwon et al. 2021): steps relative to the weights."""


class AwNetTeachers(Section):
    """The networks that AW-Net learns from."""

    clean: Teacher = Field(description="Teaches the clean images.")
    robust: Teacher = Field(description="Teaches the adversarial images.")


class AwNet(AdversarialTraining):
    """AW-Net (Wei and Zhao 2023): filters and normalisations that depend on the image; two teachers, as MTARD."""

    extractor: Annotated[list[Count], Field(min_length=1)] = Field(
        description="Output channels of the router's convolutions, each of which halves the image."
    )
    weight_rate: Decay = Field(
        description="How far the two losses' weights move in a step; times the learning rate's share."
    )
    type_weight: NonNegative = Field(description="Weight of the cross-entropy of the image's type.")
    teachers: AwNetTeachers = Field(description="The cells it learns from.")


class MixacmTeachers(Section):
    """Whose channel maps and soft labels MixACM's student learns from."""

    robust: Teacher = Field(description="An adversarially trained network.")


class Mixacm(Section):
    """MixACM (Awais et al. 2021): robustness from a robust teacher, by mixed images without adversarial examples."""

    teachers: MixacmTeachers = Field(description="The cell it learns from.")
    mixup: NonNegative = Field(description="alpha of Beta(alpha, alpha), from which mixtures are drawn; 0: none.")
    soft_weight: float = Field(ge=0, le=1, description="Weight of the soft labels; mixup's cross-entropy has the rest.")
    temperature: Positive = Field(description="Temperature of the soft labels.")
    acm_weight: NonNegative = Field(description="Weight of the sum of the channel maps' distances.")
    stages: Annotated[list[Annotated[int, Field(le=-1)]], Field(min_length=1)] = Field(
        description="At whose ends channel maps are compared, counted from the last, -1; ascending."
    )
    validation_epsilon: Level = Field(description="Of the PGD that selects the best epoch: in [0, 1], or as 8/255.")
    validation_steps: Count = Field(description="Steps of that PGD on validation images.")
    validation_step_size: StepSize = Field(description="Step of that PGD.")
    validation_images: Count | None = Field(description="On how many validation images, stratified; null: all.")

    @field_validator("stages")
    @classmethod
    def _ascending(cls, stages: list[int]) -> list[int]:
        if stages != sorted(set(stages)):
            raise ValueError("stages must ascend, each once, as in [-3, -2, -1]")
        return stages


class Rst(Section):
    """Robust self-training (Carmon et al. 2019): extra, pseudo-labelled images in each batch."""

    share: float = Field(gt=0, lt=1, description="Share of a batch that is extra images.")


class Methods(Section):
    """Components of training methods; a method joins them by `+`; `vanilla` has none."""

    dropout: Dropout
    at: At
    trades: Trades
    mixacm: Mixacm
    awnet: AwNet
    awp: Awp
    damp: Damp
    sam: Sam
    asam: Asam
    rst: Rst
    ews: Ews
