"""The types of params.yaml: every key with its meaning, range and valid values; unknown keys are refused.

What belongs to a component - a method's, an augmentation, a kind of network, an evaluation - is derived from the
registries (:mod:`ews.pipeline.study.sections`). The JSON Schema for editors, `workflow/schemas/params.schema.json`, is
generated from these classes (``ews study schema``).
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

from ews.augment.augmentation_specs import Crop
from ews.core.values import Line, LongLine, Name, Names, Section, Seed, one_of
from ews.models.architecture_specs import ArchitectureParameters
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.evaluation_specs import CorruptedSet
from ews.pipeline.study.sections import (
    Architecture,
    AugmentationSections,
    EvaluationSections,
    Measuring,
    MethodSections,
    Recipes,
    RecipeSections,
    Sections,
    read_as,
)

Evaluation = Annotated[str, one_of(list(EVALUATIONS))]
# Sources whose corrupted test images are published, as the source `<source>_c` of the manifest.
OFFICIAL = ("cifar10", "cifar100")
# Names of the workflow's own rules; a study of that name would hide one (a test holds the two together).
RESERVED = frozenset(
    {"all", "default", "data", "corruptions", "train", "evaluate", "tables", "figures", "runs"}
    | {"dataset", "extra_images", "corruption", "corruption_labels", "official_corruption", "contact_sheet"}
    | {"train_cell", "evaluate_cell", "measure", "table", "figure", "tune"}
    | {f"figure_{name}" for name, spec in EVALUATIONS.items() if spec.figure}
)
TUNE = "tune_"
"""Begins the name of the target that tunes a study."""
# Files beside the studies' folders below results/, in lower case, which some file systems do not tell from upper case.
FILES = frozenset({"trained.txt", "measured.txt", "readme.md"})

_ONE_OR_BY_METHOD = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
)


class ExtraImages(Section):
    """A file with extra images and labels that a network gave them, which people have to fetch themselves."""

    file: Annotated[Line, Field(min_length=1)] = Field(
        description="Its name, in EWS_MIRROR or data/.downloads: a pickle of arrays, or .npz."
    )
    page: LongLine = Field(default="", description="Page that links to it, for the message when it is missing.")
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
    standard: Crop = Field(description="The `standard` augmentation of this dataset.")
    corrupted: CorruptedSet = Field(description="The corrupted test set.")
    extra: ExtraImages | None = Field(default=None, description="Extra images for the method rst.")


class Variant(Section):
    """A combination of values that rows are trained with, and of which methods; its other keys are key paths."""

    model_config = ConfigDict(extra="allow")

    method: Annotated[list[Line], Field(min_length=1)] | None = Field(
        default=None, description="Of these methods alone, beside their usual rows; default: of all that it touches."
    )

    @field_validator("method", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def values(self) -> dict[str, Any]:
        """One value for each key path."""
        return dict(self.model_extra or {})


class Tuning(Section):
    """How a study chooses values before its rows are trained: by trials on seeds of their own and validation images."""

    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(
        description="Of the trials; none of the study's own seeds."
    )
    by: Literal["clean", "corruption"] = Field(
        default="corruption",
        description="Error on validation images: clean, or the mean over the held-out corruptions.",
    )
    grid: dict[Line, dict[Line, Annotated[list[Any], Field(min_length=1)]]] = Field(
        description="Method, or variant of one method -> key paths with the values to try; as many trials for each."
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class Study(Section):
    """A cross product of cells and the evaluations it wants."""

    title: Line = Field(default="", description="One line for tables and reports.")
    dataset: Names
    architecture: Names | None = Field(default=None, description="Default: the dataset's.")
    augmentation: Names = Field(default=["standard"])
    method: Annotated[list[Line], Field(min_length=1)] = Field(description="Compositions, e.g. vanilla, ews.")
    seed: Annotated[list[Seed], Field(min_length=1)] | None = Field(default=None, description="Default: `seeds`.")
    recipe: Annotated[dict[Line, Name], _ONE_OR_BY_METHOD] = Field(
        default={},
        description="A recipe by name, of all methods here or by method; default: `standard` or `adversarial`.",
    )
    evaluations: Annotated[list[Evaluation], Field(min_length=1)] = Field(default=["clean", "corruption"])
    overrides: dict[Line, Any] = Field(default={}, description="Key path -> value, or list of values to sweep.")
    variants: dict[Name, Variant] = Field(
        default={}, description="Name -> key paths with one value each: combinations that are no product of sweeps."
    )
    tune: Tuning | None = Field(
        default=None, description="Values that validation images choose first: `snakemake tune_<study>`."
    )

    @field_validator("dataset", "architecture", "augmentation", "method", "seed", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value

    @field_validator("recipe", mode="before")
    @classmethod
    def _one_is_of_all_methods(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError(
                "give the name of a recipe for all methods, such as standard, or a mapping from method to such a name, "
                "{damp: damp}; leave the key out for the usual recipes"
            )
        return dict.fromkeys(info.data.get("method", []), value) if isinstance(value, str) else value


def _study_name(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"a study cannot be called {name!r}: the workflow has a target of that name")
    if name in FILES:
        raise ValueError(f"a study cannot be called {name!r}: results/{name} is a file. Choose another name")
    return name


def _dataset_name(name: str) -> str:
    if name.endswith(("-c", "-c-official", "-extra")):
        kind = "extra images lie" if name.endswith("-extra") else "a corrupted set lies"
        raise ValueError(f"a dataset cannot be called {name!r}: data/{name} is where {kind}")
    return name


class Params(Section):
    """params.yaml."""

    reproduce: Names = Field(description="Studies that the default target builds.")
    mirror: LongLine | None = Field(description="Folder or URL to take archives from first; EWS_MIRROR overrides it.")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="Seeds of studies that name none.")
    studies: dict[Annotated[Name, AfterValidator(_study_name)], Study]
    datasets: dict[Annotated[Name, AfterValidator(_dataset_name)], Dataset]
    architectures: dict[
        Name, Annotated[ArchitectureParameters, read_as(Annotated[Architecture, Field(discriminator="network")])]
    ]
    augmentations: Annotated[Sections, read_as(AugmentationSections)] = Field(default_factory=AugmentationSections)
    methods: Annotated[Sections, read_as(MethodSections)] = Field(default_factory=MethodSections)
    recipes: dict[Name, Annotated[Recipes, read_as(RecipeSections)]]
    evaluation: Annotated[Measuring, read_as(EvaluationSections)] = Field(default_factory=EvaluationSections)

    @field_validator("studies")
    @classmethod
    def _free_targets(cls, studies: dict[str, Study]) -> dict[str, Study]:
        for name in studies:
            tuned = studies.get(name.removeprefix(TUNE)) if name.startswith(TUNE) else None
            if tuned is not None and tuned.tune is not None:
                raise ValueError(f"a study cannot be called {name!r}: that target tunes {name.removeprefix(TUNE)!r}")
        return studies
