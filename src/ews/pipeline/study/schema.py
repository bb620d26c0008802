"""The types of params.yaml: every key with its meaning, range and valid values; unknown keys are refused.

The JSON Schema for editors, `workflow/schemas/params.schema.json`, is generated from these classes
(``ews study schema``). Defaults of hyper-parameters stand in params.yaml alone.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ews.core.values import (
    Count,
    Fraction,
    Level,
    Name,
    Names,
    NonNegative,
    Positive,
    Section,
    Seed,
    StepSize,
)
from ews.pipeline.study.method_schema import Methods

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
Evaluation = Literal["clean", "corruption", "perturbation", "adversarial", "adaptive"]
# Sources whose corrupted test images are published, as the source `<source>_c` of the manifest.
OFFICIAL = ("cifar10", "cifar100")
# Names of the workflow's own rules; a study of that name would hide one (a test holds the two together).
RESERVED = frozenset(
    {"all", "default", "data", "corruptions", "train", "evaluate", "tables", "figures", "runs"}
    | {"dataset", "extra_images", "corruption", "corruption_labels", "official_corruption", "contact_sheet"}
    | {"train_cell", "evaluate_cell", "measure", "table", "figure"}
)


class Standard(Section):
    """What `standard` augmentation means for one dataset."""

    padding: int = Field(ge=0, le=64, description="Zero padding before the random crop, pixels; 0: no crop.")
    flip: bool = Field(description="Random horizontal flip with probability 1/2.")


class CorruptedSet(Section):
    """Where the corrupted test set of a dataset comes from, and how it is made."""

    source: Literal["generated", "official"] = Field(
        default="generated", description="generated: made here; official: the published files (cifar10, cifar100)."
    )
    profile: Literal["cifar", "tiny", "imagenet"] = Field(description="Whose severity constants: 32, 64 or 224 pixels.")
    seed: Seed = Field(description="Seed of the random corruptions.")


class ExtraImages(Section):
    """A file with extra images and labels that a network gave them, which people have to fetch themselves."""

    file: Annotated[str, Field(min_length=1)] = Field(
        description="Its name, in EWS_MIRROR or data/.downloads: a pickle of arrays, or .npz."
    )
    page: str = Field(default="", description="Page that links to it, for the message when it is missing.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Refuse any other file; null: any, and its sum is recorded."
    )


class Dataset(Section):
    """A set of images: where it comes from and how it is split."""

    source: Name = Field(description="Entry of data/sources.yaml.")
    validation: float = Field(
        ge=0,
        lt=1,
        description="Share of the training images held out for validation, stratified; 0: none, last epoch only.",
    )
    architecture: Name = Field(description="Architecture of studies that name none.")
    standard: Standard = Field(description="The `standard` augmentation of this dataset.")
    corrupted: CorruptedSet = Field(description="The corrupted test set.")
    extra: ExtraImages | None = Field(default=None, description="Extra images for the method rst.")


class CifarResNet(Section):
    """The thin ResNets for 32x32 images (He et al. 2016, section 4.2): depth 6n + 2."""

    stages: ClassVar[int] = 3
    network: Literal["cifar_resnet"] = Field(description="Family.")
    depth: int = Field(ge=8, description="Layers: 6n + 2.")
    width: Count = Field(description="Channels of the first stage; doubled in each of the two next.")

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        if (depth - 2) % 6:
            raise ValueError(f"must be 6n + 2 (8, 14, 20, 32, ...), not {depth}")
        return depth


class ResNet(Section):
    """ResNet-18, -34, -50 with four stages and the CIFAR stem (3x3 convolution, no pooling)."""

    stages: ClassVar[int] = 4
    network: Literal["resnet"] = Field(description="Family.")
    depth: Literal[18, 34, 50] = Field(description="Layers; 18 and 34 have basic blocks, 50 bottlenecks.")
    width: Count = Field(description="Channels of the first stage; 64 in the paper.")


class PreActResNet(Section):
    """Pre-activation ResNet-18 for 32x32 images (He et al. 2016b)."""

    stages: ClassVar[int] = 4
    network: Literal["preact_resnet"] = Field(description="Family.")
    depth: Literal[18] = Field(description="Layers.")
    width: Count = Field(description="Channels of the first stage; 64 in the paper.")


class WideResNet(Section):
    """Wide residual networks (Zagoruyko and Komodakis 2016): WRN-depth-widen."""

    stages: ClassVar[int] = 3
    network: Literal["wide_resnet"] = Field(description="Family.")
    depth: int = Field(ge=10, description="Layers: 6n + 4.")
    widen: Count = Field(description="Factor of the widths 16, 32, 64.")

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise ValueError(f"must be 6n + 4 (10, 16, 28, 34, ...), not {depth}")
        return depth


Architecture = Annotated[CifarResNet | ResNet | PreActResNet | WideResNet, Field(discriminator="network")]


class NoParameters(Section):
    """An entry without parameters of its own."""


class AutoAugment(Section):
    """AutoAugment (Cubuk et al. 2019)."""

    policy: Literal["cifar10", "svhn"] = Field(description="Learned policy; the paper uses CIFAR's for both CIFARs.")


class AugMix(Section):
    """AugMix (Hendrycks et al. 2020), without the operations that overlap with the test corruptions."""

    width: Count = Field(description="Chains that are mixed.")
    depth_min: Count = Field(description="Shortest chain, operations.")
    depth_max: Count = Field(description="Longest chain, operations.")
    severity: float = Field(ge=0.1, le=10, description="Largest strength of an operation, 0 to 10.")
    alpha: Positive = Field(description="Parameter of the Dirichlet and Beta distributions of the mixing weights.")
    jsd_weight: NonNegative = Field(description="Weight of the Jensen-Shannon term over the three views.")

    @model_validator(mode="after")
    def _depths(self) -> "AugMix":
        if self.depth_max < self.depth_min:
            raise ValueError(f"depth_max ({self.depth_max}) is below depth_min ({self.depth_min})")
        return self


class Augmentations(Section):
    """Training augmentations by name."""

    standard: NoParameters = Field(description="Crop and flip as the dataset says.")
    autoaugment: AutoAugment
    augmix: AugMix


class Recipe(Section):
    """Optimiser and schedule of one dataset and kind of training."""

    epochs: Count = Field(description="Passes over the training images.")
    batch_size: Annotated[int, Field(ge=2)] = Field(description="Images per iteration.")
    train_images: Count | None = Field(description="Stratified subset of the training images; null: all.")
    learning_rate: Positive = Field(description="Largest learning rate (SGD).")
    momentum: float = Field(ge=0, lt=1, description="SGD momentum.")
    nesterov: bool = Field(description="Nesterov momentum.")
    weight_decay: NonNegative = Field(description="L2 penalty on all parameters.")
    schedule: Literal["step", "cosine"] = Field(description="step: times gamma at each milestone; cosine: to zero.")
    milestones: list[Fraction] = Field(description="Of the step schedule: shares of the epochs.")
    gamma: Fraction = Field(description="Of the step schedule: factor at each milestone.")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="Epochs of linear warm-up.")
    gradient_clip: Positive | None = Field(description="Largest norm of the network's gradient; null: none.")
    label_smoothing: float = Field(ge=0, lt=1, description="Label smoothing.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(description="auto: bfloat16 autocast on CUDA only.")

    @model_validator(mode="after")
    def _nesterov(self) -> "Recipe":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs momentum above 0")
        if self.milestones != sorted(self.milestones):
            raise ValueError("milestones must ascend")
        return self


class Recipes(Section):
    """Recipes of one dataset by kind of training."""

    standard: Recipe = Field(description="Training on clean or augmented images.")
    adversarial: Recipe | None = Field(default=None, description="Training for robustness: at, trades, mixacm.")


class CorruptionEvaluation(Section):
    """Which corruptions are evaluated."""

    names: Annotated[list[Corruption], Field(min_length=1)] = Field(description="Corruptions, all at 5 severities.")
    # No part of a result, and so of no folder's name.
    stored: bool = Field(
        default=True,
        description="true: sets on disk, made once; false: images are corrupted while they are measured.",
    )

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("a corruption stands twice")
        return names


class PerturbationEvaluation(Section):
    """Which perturbation sequences are evaluated."""

    names: Annotated[list[Perturbation], Field(min_length=1)] = Field(description="Perturbations; mFP: over all ten.")

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("a perturbation stands twice")
        return names


class AutoAttackEvaluation(Section):
    """How AutoAttack is run."""

    n_examples: Count | None = Field(description="Attack a stratified choice of that many test images; null: all.")
    batch_size: Count = Field(description="Images at a time, of PGD too; AutoAttack's draws depend on it.")
    version: Literal["standard", "plus"] = Field(description="standard: 4 attacks; plus: 6 with more restarts.")


class AdversarialEvaluation(Section):
    """Attacks in the maximum norm."""

    epsilon: Level = Field(description="Largest change of a pixel: in [0, 1], or as 8/255.")
    step_size: StepSize = Field(description="Step of PGD: above 0, at most 1, or as 2/255.")
    steps: Count = Field(description="Steps of PGD; names the column pgd-<steps> error.")
    restarts: Count = Field(description="Uniform starts of PGD; an image counts as wrong if one of them fools it.")
    autoattack: AutoAttackEvaluation


class AdaptiveEvaluation(Section):
    """Attacks that also deceive the router of a dynamic network; radius, step and steps are those of adversarial."""

    weights: Annotated[list[Positive], Field(min_length=1)] = Field(
        description="Of the router's cross-entropy beside that of the class: an attack for each."
    )
    restarts: Count = Field(description="Uniform starts of each attack.")

    @field_validator("weights")
    @classmethod
    def _distinct(cls, weights: list[float]) -> list[float]:
        if len(set(weights)) < len(weights):
            raise ValueError("a weight stands twice")
        return weights


class EvaluationSettings(Section):
    """How trained networks are measured."""

    test_images: Count | None = Field(description="Stratified subset of the test images; null: all.")
    corruption: CorruptionEvaluation
    perturbation: PerturbationEvaluation
    adversarial: AdversarialEvaluation
    adaptive: AdaptiveEvaluation


class Study(Section):
    """A cross product of cells and the evaluations it wants."""

    title: str = Field(default="", description="One line for tables and reports.")
    dataset: Names
    architecture: Names | None = Field(default=None, description="Default: the dataset's.")
    augmentation: Names = Field(default=["standard"])
    method: Annotated[list[str], Field(min_length=1)] = Field(description="Compositions, e.g. vanilla, ews.")
    seed: Annotated[list[Seed], Field(min_length=1)] | None = Field(default=None, description="Default: `seeds`.")
    evaluations: Annotated[list[Evaluation], Field(min_length=1)] = Field(default=["clean", "corruption"])
    overrides: dict[str, Any] = Field(default={}, description="Key path -> value, or list of values to sweep.")

    @field_validator("dataset", "architecture", "augmentation", "method", "seed", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


class Params(Section):
    """params.yaml."""

    reproduce: Names = Field(description="Studies that the default target builds.")
    mirror: str | None = Field(description="Folder or URL to take archives from first; EWS_MIRROR overrides it.")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="Seeds of studies that name none.")
    studies: dict[Name, Study]
    datasets: dict[Name, Dataset]
    architectures: dict[Name, Architecture]
    augmentations: Augmentations
    methods: Methods
    recipes: dict[Name, Recipes]
    evaluation: EvaluationSettings

    @field_validator("datasets")
    @classmethod
    def _no_suffix(cls, datasets: dict[str, Dataset]) -> dict[str, Dataset]:
        for name in datasets:
            if name.endswith(("-c", "-c-official", "-extra")):
                kind = "extra images lie" if name.endswith("-extra") else "a corrupted set lies"
                raise ValueError(f"a dataset cannot be called {name!r}: data/{name} is where {kind}")
        return datasets

    @field_validator("studies")
    @classmethod
    def _free_names(cls, studies: dict[str, Study]) -> dict[str, Study]:
        for name in studies:
            if name in RESERVED:
                raise ValueError(f"a study cannot be called {name!r}: the workflow has a target of that name")
        return studies
